namespace CancelService.Sandbox;

/// <summary>The wallet to try things in: the service, a demo wallet, and pages for a merchant's developer.</summary>
public static class Program
{
    /// <summary>Serves, or carries out a command of the service on the sandbox's database.</summary>
    /// <returns>The exit code of the service's <see cref="Api.Program.Run"/>.</returns>
    public static Task<int> Main(string[] args) => Api.Program.Run(args, new SandboxExtension());
}
