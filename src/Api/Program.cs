using System.Data.Common;
using System.Net.Sockets;
using System.Reflection;
using CancelService.Api.Hosting;
using CancelService.Api.Public;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Persistence;
using Microsoft.Extensions.Options;

namespace CancelService.Api;

/// <summary>The process: serves, or carries out one command and exits.</summary>
public static class Program
{
    private const string CreateDatabase = "--create-database";

    private const string Help = """
        CancelService [COMMAND] [--Section:Setting=value ...]

          (no command)                  serve: merchants on port 8080, the internal API on port 8081
          migrate                       bring the schema up to date, and exit
          migrate --create-database     the same, and create the database where there is none
          verify-ledger                 check every invariant over the whole database, and exit:
                                        0 no violation, 1 violations, 2 no verdict
          --help, --version             print this, or the version

        Settings come from appsettings.json, the environment (Database__Provider=Postgres) and the command line
        (--Database:Provider=Postgres). README.md lists them.
        """;

    private static string Version =>
        typeof(Program).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? "";

    /// <summary>
    /// Serves without arguments; <c>migrate</c> brings the schema up to date and exits; <c>verify-ledger</c> checks every
    /// invariant over the whole database and exits.
    /// </summary>
    /// <returns>
    /// 0, or 1 when a setting is wrong or the command fails; standard error says why. For <c>verify-ledger</c>, 1 is a
    /// violation, and 2 is that there is no verdict, for whatever reason.
    /// </returns>
    public static async Task<int> Main(string[] args)
    {
        var failed = args is ["verify-ledger", ..] ? 2 : 1;
        if (args is ["help", ..] || args.Any(argument => argument is "--help" or "-h"))
        {
            Console.WriteLine(Help);
            return 0;
        }
        if (args.Contains("--version", StringComparer.Ordinal))
        {
            Console.WriteLine($"CancelService {Version}");
            return 0;
        }
        try
        {
            // The settings' reader would take what follows for this option's value.
            string[] settings = [.. args.Where(argument => argument != CreateDatabase)];
            await using var app = ServiceHost.Build(settings, OpenApi.IsBuilding ? OpenApi.OnlyDescribe : null);
            switch (args)
            {
                case ["migrate", ..]:
                    await app
                        .Services.GetRequiredService<Database>()
                        .Migrate(args.Contains(CreateDatabase, StringComparer.Ordinal), CancellationToken.None);
                    Console.WriteLine("The schema is up to date.");
                    return 0;
                case ["verify-ledger", ..]:
                    return await VerifyLedger(app.Services.GetRequiredService<LedgerAudit>());
                case [{ } command, ..] when !command.StartsWith('-'):
                    await Console.Error.WriteLineAsync(
                        $"'{command}' is no command. There are: migrate, verify-ledger; --help says more."
                    );
                    return 1;
                case var _ when OpenApi.IsBuilding:
                    await app.RunAsync();
                    return 0;
                default:
                    _ = app.Services.GetRequiredService<SignedExchange>(); // What can't sign must not start.
                    await app.RunAsync();
                    return 0;
            }
        }
        catch (OptionsValidationException e)
        {
            foreach (var failure in e.Failures)
                await Console.Error.WriteLineAsync($"CancelService does not start: {failure}");
            return failed;
        }
        // An address that can't be listened on, or a database that the command can't reach.
        catch (Exception e) when (e is IOException or SocketException or FormatException or DbException)
        {
            await Console.Error.WriteLineAsync($"CancelService fails: {e.Message}");
            return failed;
        }
        // What may go better next time, such as a lock that is held for long.
        catch (InvalidOperationException e) when (e.InnerException is DbException reason)
        {
            await Console.Error.WriteLineAsync($"CancelService fails, run it again: {reason.Message}");
            return failed;
        }
    }

    private static async Task<int> VerifyLedger(LedgerAudit audit)
    {
        try
        {
            var results = await audit.Run(Console.Out, CancellationToken.None);
            return results.Any(result => result.Violations > 0) ? 1 : 0;
        }
        // Whatever it was: an audit that did not get to its end must not look like one that found something, or nothing.
        catch (Exception e)
        {
            await Console.Error.WriteLineAsync($"verify-ledger could not run: {e.Message}");
            return 2;
        }
    }
}
