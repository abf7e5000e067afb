using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>
/// Goal: keys in the formats of common tools are accepted, or the refusal names a command that converts them.
/// </summary>
public sealed partial class KeyFormsTests(PostgresServer postgres)
{
    // The command that creates a key, and the command that its refusal must name; both run in a temporary directory.
    [Theory]
    [InlineData("openssl pkey -in private.pem -pubout -outform DER | openssl base64 -A", "")]
    [InlineData("openssl pkey -in private.pem -pubout -outform DER | openssl base64", "")]
    [InlineData("openssl rsa -in private.pem -RSAPublicKey_out", "")]
    [InlineData("openssl req -x509 -key private.pem -subj /CN=shop -days 1", "")]
    [InlineData("cat private.pem", "openssl pkey -in private.pem -pubout")]
    [InlineData("openssl rsa -in private.pem -traditional", "openssl pkey -in private.pem -pubout")]
    [InlineData(
        "openssl pkcs8 -topk8 -nocrypt -in private.pem -outform DER | openssl base64 -A",
        "openssl pkey -in private.pem -pubout"
    )]
    [InlineData(
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout",
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem"
    )]
    [InlineData(
        "openssl genpkey -algorithm ED25519 | openssl pkey -pubout",
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem"
    )]
    [InlineData(
        "openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 | openssl pkey -pubout",
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem"
    )]
    [InlineData(
        "openssl req -new -key private.pem -subj /CN=shop | tee request.pem",
        "openssl req -in request.pem -pubkey -noout"
    )]
    [InlineData("ssh-keygen -q -t rsa -b 2048 -N '' -f key && cat key.pub", "ssh-keygen -e -m PKCS8 -f key.pub")]
    public async Task Key_is_accepted_or_the_suggested_command_makes_it_acceptable(string made, string helps)
    {
        await using var host = await TestHost.Start(DatabaseProvider.Sqlite, postgres);
        var client = await host.AddClient(keys: []);
        var directory = Directory.CreateTempSubdirectory("cancelservice-");
        try
        {
            await Shell(
                directory,
                "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem"
            );
            var reply = await Put(await Shell(directory, made));
            if (helps.Length > 0)
            {
                reply.ShouldBeProblem(422, "key-not-accepted");
                var detail = reply["detail"].ShouldNotBeNull();
                detail.ShouldContain(helps);
                var text = await Shell(directory, helps);
                reply = await Put(
                    text.Length > 0 ? text : await Shell(directory, "openssl pkey -in private.pem -pubout")
                );
            }
            reply.Status.ShouldBeInRange(200, 201);

            using var key = RSA.Create();
            key.ImportFromPem(
                await File.ReadAllTextAsync(
                    Path.Combine(directory.FullName, "private.pem"),
                    TestContext.Current.CancellationToken
                )
            );
            if (!made.Contains("ssh-keygen", StringComparison.Ordinal))
                (await host.Cancel(client with { Key = KeyPair.Read(key.ExportPkcs8PrivateKeyPem()) })).Code.ShouldBe(
                    "ORDER_NOT_EXIST"
                );
        }
        finally
        {
            directory.Delete(recursive: true);
        }

        Task<Reply> Put(string text) =>
            host.Call("PUT", $"/clients/{client.Id}/keys/1", JsonSerializer.Serialize(new { publicKey = text }));
    }

    // Every key command in the merchants' guide runs, and its key is accepted or is the private key.
    [Fact]
    public async Task Documented_commands_make_keys_for_an_SDK()
    {
        var directory = Directory.CreateTempSubdirectory("cancelservice-");
        try
        {
            await Shell(
                directory,
                "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem"
            );
            var commands = Command()
                .Matches(await File.ReadAllTextAsync(Document(), TestContext.Current.CancellationToken));
            commands.Count.ShouldBe(3);
            var keys = new List<string>();
            foreach (Match command in commands)
                keys.Add(await Shell(directory, command.Value));

            using var signer = RSA.Create();
            signer.ImportPkcs8PrivateKey(Convert.FromBase64String(keys[0]), out _);
            using var verifier = RSA.Create();
            verifier.ImportSubjectPublicKeyInfo(Convert.FromBase64String(keys[1]), out _);
            var signature = signer.SignData("x"u8, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            verifier.VerifyData("x"u8, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).ShouldBeTrue();
            verifier.ImportFromPem(keys[2]);
            verifier.VerifyData("x"u8, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).ShouldBeTrue();
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static string Document() => Path.Combine(Repository.Root, "docs", "api.md");

    private static async Task<string> Shell(DirectoryInfo directory, string command)
    {
        using var process = Process
            .Start(
                new ProcessStartInfo("bash", ["-c", $"set -o pipefail; {command}"])
                {
                    UseShellExecute = false,
                    WorkingDirectory = directory.FullName,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                }
            )
            .ShouldNotBeNull();
        var output = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(2));
        var texts = await output;
        process.ExitCode.ShouldBe(0, $"{command}: {texts[1]}");
        return texts[0];
    }

    [GeneratedRegex(
        @"^openssl pk[^#\n]*[^# \n]",
        RegexOptions.Multiline | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Command();
}
