using System.Data.Common;
using System.Net.Sockets;
using CancelService.Api.Exchange;
using CancelService.Api.Hosting;
using CancelService.Api.Internal;
using CancelService.Application.Clients;
using CancelService.Doctor;
using CancelService.Domain;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Restoring;
using CancelService.Infrastructure.Sql;
using CancelService.OperatorConsole;
using Microsoft.Extensions.Options;

namespace CancelService.Api;

/// <summary>The process: serves, or carries out one command and exits.</summary>
public static class Program
{
    private const string CreateDatabase = "--create-database";
    private const string Distribute = "--distribute";
    private const string MayRequeue = "--may-requeue";

    private const string Help = """
        CancelService [COMMAND] [--Section:Setting=value ...]

          (no command)                  serve: merchants on port 8080, the internal API on port 8081
          migrate                       bring the schema up to date, and exit
          migrate --create-database     the same, and create the database where there is none
          migrate --distribute          migrate, and distribute the tables by client over the nodes of Citus
          verify-ledger                 check every invariant over the whole database, and exit:
                                        0 no violation, 1 violations, 2 no verdict
          after-restore                 after the database was restored from a backup, and before instances serve: begin a new
                                        epoch of the feeds' cursors, and exit
          find-lost                     read the service's log, or the events that the core received, from standard input;
                                        find what was told and the database does not bear out; exit codes as above
          diagnose [FILE]               say why a merchant's request is refused, to the byte: raw HTTP, a curl command, an HAR
                                        entry or a log line, from the file or standard input; 0 nothing is wrong, 1 something
          ops-link NAME [--may-requeue] print a link by which NAME signs in to the operations page, once within five minutes
          --help, --version             print this, or the version and the commit that it was built of

        Settings come from appsettings.json, the environment (Database__Provider=Postgres) and the command line
        (--Database:Provider=Postgres). README.md lists them.
        """;

    /// <summary>
    /// Serves without arguments, or carries out the command that comes first, and exits: <c>--help</c> lists them.
    /// </summary>
    /// <returns>
    /// 0, or 1 when a setting is wrong or the command fails; standard error says why. For <c>verify-ledger</c>,
    /// <c>find-lost</c> and <c>diagnose</c>, 1 means that something was found, and 2 that there is no verdict, for whatever
    /// reason.
    /// </returns>
    public static Task<int> Main(string[] args) => Run(args);

    /// <summary>Does the same for a host that has more than the service.</summary>
    public static async Task<int> Run(string[] args, params IHostExtension[] extensions)
    {
        var failed = args is ["verify-ledger" or "find-lost" or "diagnose", ..] ? 2 : 1;
        if (args is ["help", ..] || args.Any(argument => argument is "--help" or "-h"))
        {
            Console.WriteLine(Help);
            return 0;
        }
        if (args.Contains("--version", StringComparer.Ordinal))
        {
            Console.WriteLine($"CancelService {BuildInfo.Full}");
            return 0;
        }
        try
        {
            // The settings' reader would take what follows for this option's value.
            string[] settings =
            [
                .. args.Where(argument => argument is not (CreateDatabase or Distribute or MayRequeue)),
            ];
            await using var app = ServiceHost.Build(
                settings,
                OpenApi.IsBuilding ? OpenApi.OnlyDescribe : null,
                extensions
            );
            switch (args)
            {
                case ["migrate", ..]:
                    await Migrate(app.Services, args);
                    return 0;
                case ["verify-ledger", ..]:
                    return await VerifyLedger(app.Services.GetRequiredService<LedgerAudit>());
                case ["after-restore", ..]:
                    await AfterRestore(app.Services.GetRequiredService<Restores>());
                    return 0;
                case ["find-lost", ..]:
                    return await FindLost(app.Services.GetRequiredService<LostAnswers>());
                case ["diagnose", ..]:
                    return await Diagnose(app.Services, args is [_, { } file, ..] && !file.StartsWith('-') ? file : "");
                case ["ops-link", ..]:
                    return await OpsLink(app, args);
                case [{ } command, ..] when !command.StartsWith('-'):
                    await Console.Error.WriteLineAsync(
                        $"'{command}' is no command. There are: migrate, verify-ledger, after-restore, find-lost, diagnose, ops-link; --help says more."
                    );
                    return 1;
                case var _ when OpenApi.IsBuilding:
                    await app.RunAsync();
                    return 0;
                default:
                    _ = app.Services.GetRequiredService<SignedExchange>(); // A process that can't sign must not start.
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
        // An address that can't be listened on, a file that can't be read, or a database that the command can't reach.
        catch (Exception e)
            when (e is IOException or UnauthorizedAccessException or SocketException or FormatException or DbException)
        {
            await Console.Error.WriteLineAsync($"CancelService fails: {e.Message}");
            return failed;
        }
        // A failure that a repeat may fix, such as a lock that is held for long.
        catch (InvalidOperationException e) when (e.InnerException is DbException reason)
        {
            await Console.Error.WriteLineAsync($"CancelService fails, run it again: {reason.Message}");
            return failed;
        }
    }

    private static async Task Migrate(IServiceProvider services, string[] args)
    {
        var distribute = args.Contains(Distribute, StringComparer.Ordinal);
        foreach (var preparation in services.GetServices<IDatabasePreparation>())
            await preparation.BeforeMigration(CancellationToken.None);
        await services
            .GetRequiredService<Database>()
            .Migrate(args.Contains(CreateDatabase, StringComparer.Ordinal), CancellationToken.None, distribute);
        Console.WriteLine($"The schema is up to date{(distribute ? ", and distributed by client" : "")}.");
    }

    private static Task<int> VerifyLedger(LedgerAudit audit) =>
        Verdict(
            "verify-ledger",
            async () => (await audit.Run(Console.Out, CancellationToken.None)).Any(result => result.Violations > 0)
        );

    private static Task<int> FindLost(LostAnswers answers) =>
        Verdict("find-lost", async () => await answers.Find(Console.In, Console.Out, CancellationToken.None) > 0);

    private static Task<int> Diagnose(IServiceProvider services, string file) =>
        Verdict(
            "diagnose",
            async () =>
            {
                await using var input = file.Length > 0 ? File.OpenRead(file) : Console.OpenStandardInput();
                var paste = new byte[PastedRequest.MaxBytes + 1]; // The rest is not read.
                var length = await input.ReadAtLeastAsync(paste, paste.Length, throwOnEndOfStream: false);
                var pasted =
                    PastedRequest.Read(paste.AsSpan(0, length), out var problem) ?? throw new FormatException(problem);
                var client =
                    pasted.Header("Client-Id") is [var id, ..] && ClientId.IsWellFormed(id)
                        ? await services.GetRequiredService<IClients>().Find(new ClientId(id), CancellationToken.None)
                        : null;
                var now = services.GetRequiredService<TimeProvider>().GetUtcNow();
                var diagnosis = services
                    .GetRequiredService<RequestDoctor>()
                    .Examine(pasted, client is null ? null : DiagnoseApi.Examined(client), now, cameNow: false);
                Console.Write(DiagnosisText.Of(diagnosis));
                return diagnosis.Causes.Count > 0 || diagnosis.Answer is { Causes.Count: > 0 };
            }
        );

    private static async Task<int> OpsLink(WebApplication app, string[] args)
    {
        if (args is not [_, { Length: > 0 and <= 64 } name, ..] || name.StartsWith('-') || name.Any(char.IsControl))
        {
            await Console.Error.WriteLineAsync(
                "ops-link needs the name of who will use the link, for the record: ops-link alice."
            );
            return 1;
        }
        var internalUrl = app.Configuration["Kestrel:Endpoints:Internal:Url"] ?? "";
        var link = await app
            .Services.GetRequiredService<OpsLinks>()
            .Make(name, args.Contains(MayRequeue, StringComparer.Ordinal), CancellationToken.None);
        Console.WriteLine(
            $"{internalUrl.Replace("*", "localhost", StringComparison.Ordinal)}{OpsSession.SignInPath}?link={link}"
        );
        return 0;
    }

    private static async Task AfterRestore(Restores restores)
    {
        var epoch = await restores.Begin(CancellationToken.None);
        Console.WriteLine(
            $"The feeds' cursors are of epoch {epoch} now. Readers with an older one are told where to go on."
        );
    }

    private static async Task<int> Verdict(string command, Func<Task<bool>> found)
    {
        try
        {
            return await found() ? 1 : 0;
        }
        // Catches everything: a run that did not finish must not look like a verdict.
        catch (Exception e)
        {
            await Console.Error.WriteLineAsync($"{command} could not run: {e.Message}");
            return 2;
        }
    }
}
