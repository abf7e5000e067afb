using CancelService.Api.Hosting;
using CancelService.Infrastructure.Signing;
using CancelService.Sandbox;
using CancelService.Sandbox.Demo;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>Goal: the sandbox signs with its own keys alone, and keeps them to their owner.</summary>
public sealed class OwnSecretsTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cancelservice-");

    [Theory]
    [InlineData("Wallet:SigningKeyPath", "wallet.pem")]
    [InlineData("Notifications:Secrets:0", Receiver.Secret)]
    [InlineData("Notifications:Secrets:1", Receiver.Secret)]
    [InlineData("Notifications:Secrets:3", Receiver.Secret)]
    public void Foreign_secret_is_refused(string setting, string value) =>
        Should
            .Throw<OptionsValidationException>(() => Build($"--{setting}={value}"))
            .Message.ShouldContain($"{setting} is set, but the sandbox makes its own keys and secrets.");

    [Fact]
    public async Task Private_files_are_their_owners_and_no_draft_is_left()
    {
        var keys = new DemoKeys(Path.Combine(_directory.FullName, "demo"));
        var files = Directory
            .GetFiles(keys.Directory)
            .Select(path => Path.GetFileName(path))
            .Order(StringComparer.Ordinal);
        files.ShouldBe([
            "merchant-private.b64",
            "merchant-private.pem",
            "merchant-public.b64",
            "merchant-public.pem",
            "wallet-private.b64",
            "wallet-private.pem",
            "wallet-public.b64",
            "wallet-public.pem",
            "webhook-secret.txt",
        ]);
        if (!OperatingSystem.IsWindows())
            foreach (var file in files.Where(file => !file.Contains("public", StringComparison.Ordinal)))
                File.GetUnixFileMode(Path.Combine(keys.Directory, file))
                    .ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite, file);

        // A start that was interrupted is completed, with the keys that are there.
        File.Delete(Path.Combine(keys.Directory, "merchant-public.pem"));
        new DemoKeys(keys.Directory).MerchantPublicKeyPem.ShouldBe(keys.MerchantPublicKeyPem);
        await using var app = Build();
        app.Services.GetRequiredService<WalletKey>().PublicKey.Pem.Trim().ShouldBe(keys.WalletPublicKeyPem.Trim());
    }

    public void Dispose() => _directory.Delete(recursive: true);

    private Microsoft.AspNetCore.Builder.WebApplication Build(params string[] settings) =>
        ServiceHost.Build(
            ["--environment=Production", $"--Sandbox:Directory={_directory.FullName}/demo", .. settings],
            replace: null,
            new SandboxExtension()
        );
}
