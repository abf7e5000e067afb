using System.Security.Cryptography;
using CancelService.Infrastructure.Notifications;

namespace CancelService.Sandbox.Demo;

/// <summary>
/// The sandbox's keys and secrets, made at its first start and kept in <c>Sandbox:Directory</c>. Private ones are
/// readable to their owner alone from the moment that they exist.
/// </summary>
public sealed class DemoKeys
{
    private const UnixFileMode OwnerAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Everyone = OwnerAlone | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>Reads the keys; makes the missing ones.</summary>
    public DemoKeys(string directory)
    {
        Directory = Path.GetFullPath(directory);
        System.IO.Directory.CreateDirectory(Directory);
        WalletPublicKeyPem = Pair("wallet");
        MerchantPublicKeyPem = Pair("merchant");
        WebhookSecret = Secret();
    }

    /// <summary>The directory of the keys.</summary>
    public string Directory { get; }

    /// <summary>The path of the wallet's private key.</summary>
    public string WalletPrivateKeyPath => PathOf("wallet-private.pem");

    /// <summary>The public key of the wallet.</summary>
    public string WalletPublicKeyPem { get; }

    /// <summary>The path of the private key of the demo's merchant.</summary>
    public string MerchantPrivateKeyPath => PathOf("merchant-private.pem");

    /// <summary>The public key of the demo's merchant.</summary>
    public string MerchantPublicKeyPem { get; }

    /// <summary>The secret that signs events.</summary>
    public string WebhookSecret { get; }

    private string Secret()
    {
        var path = PathOf("webhook-secret.txt");
        Write(path, () => EventSignature.NewSecret() + "\n", OwnerAlone);
        return File.ReadAllText(path).Trim();
    }

    // The private key comes first, and the other files follow from it: a start that was interrupted is completed.
    private string Pair(string owner)
    {
        var path = PathOf($"{owner}-private.pem");
        Write(path, NewPrivateKey, OwnerAlone);
        using var rsa = RSA.Create();
        rsa.ImportFromPem(File.ReadAllText(path));
        var publicPem = rsa.ExportSubjectPublicKeyInfoPem() + "\n";
        Write(PathOf($"{owner}-public.pem"), () => publicPem, Everyone);
        // The form that SDKs of this scheme take: bare base64 on one line.
        Write(PathOf($"{owner}-private.b64"), () => Convert.ToBase64String(rsa.ExportPkcs8PrivateKey()), OwnerAlone);
        Write(PathOf($"{owner}-public.b64"), () => Convert.ToBase64String(rsa.ExportSubjectPublicKeyInfo()), Everyone);
        return publicPem;
    }

    private static string NewPrivateKey()
    {
        using var rsa = RSA.Create(2048);
        return rsa.ExportPkcs8PrivateKeyPem() + "\n";
    }

    // Under another name first: a reader never sees half a file, and of two processes the first one's file stays.
    private static void Write(string path, Func<string> text, UnixFileMode mode)
    {
        if (File.Exists(path))
            return;
        var draft = $"{path}.{Guid.NewGuid():N}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = mode;
        try
        {
            using (var stream = new FileStream(draft, options))
            {
                using var writer = new StreamWriter(stream, leaveOpen: true);
                writer.Write(text());
                writer.Flush();
                stream.Flush(flushToDisk: true);
            }
            File.Move(draft, path, overwrite: false);
        }
        catch (IOException) when (File.Exists(path))
        {
            File.Delete(draft);
        }
    }

    private string PathOf(string name) => Path.Combine(Directory, name);
}
