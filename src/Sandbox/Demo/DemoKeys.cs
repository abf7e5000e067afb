using System.Security.Cryptography;
using CancelService.Infrastructure.Notifications;

namespace CancelService.Sandbox.Demo;

/// <summary>
/// The demo's keys, made up at the first start and kept in <c>Demo:Directory</c>. Keys that are there already may lie in a
/// directory that can't be written. Only in Development, and with the sandbox.
/// </summary>
public sealed class DemoKeys
{
    /// <summary>Finds the keys, or makes them.</summary>
    public DemoKeys(string directory)
    {
        Directory = Path.GetFullPath(directory);
        System.IO.Directory.CreateDirectory(Directory);
        WalletPrivateKeyPath = Pair("wallet").Private;
        MerchantPublicKeyPem = File.ReadAllText(Pair("merchant").Public);
        WebhookSecret = Secret();
    }

    /// <summary>Where the keys are.</summary>
    public string Directory { get; }

    /// <summary>The wallet's private key, for a process that was given none.</summary>
    public string WalletPrivateKeyPath { get; }

    /// <summary>The public key of the demo's merchant.</summary>
    public string MerchantPublicKeyPem { get; }

    /// <summary>The secret that signs events, for a process that was given none.</summary>
    public string WebhookSecret { get; }

    private string Secret()
    {
        var path = Path.Combine(Directory, "webhook-secret.txt");
        if (!File.Exists(path))
            WritePrivate(path, EventSignature.NewSecret() + "\n");
        return File.ReadAllText(path).Trim();
    }

    private (string Private, string Public) Pair(string owner)
    {
        var (privatePath, publicPath) = (
            Path.Combine(Directory, $"{owner}-private.pem"),
            Path.Combine(Directory, $"{owner}-public.pem")
        );
        if (!File.Exists(privatePath) || !File.Exists(publicPath))
        {
            using var rsa = RSA.Create(2048);
            WritePrivate(privatePath, rsa.ExportPkcs8PrivateKeyPem() + "\n");
            File.WriteAllText(publicPath, rsa.ExportSubjectPublicKeyInfoPem() + "\n");
            // The same keys as SDKs of this scheme take them: bare base64 on one line.
            WritePrivate(Path.ChangeExtension(privatePath, ".b64"), Base64(privatePath));
            File.WriteAllText(Path.ChangeExtension(publicPath, ".b64"), Base64(publicPath));
        }
        return (privatePath, publicPath);
    }

    private static string Base64(string pemPath)
    {
        var pem = File.ReadAllText(pemPath);
        return pem[PemEncoding.Find(pem).Base64Data].ReplaceLineEndings("");
    }

    private static void WritePrivate(string path, string text)
    {
        File.WriteAllText(path, text);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }
}
