using System.CommandLine;
using CancelService.Api.Hosting;
using CancelService.Infrastructure.Sql;

namespace CancelService.Api.Commands;

/// <summary><c>migrate</c> brings the schema up to date.</summary>
internal sealed class MigrateCommand : Command, IExplained
{
    public MigrateCommand(HostRunner runner)
        : base("migrate", "Brings the schema up to date. A second run changes nothing.")
    {
        var create = new Option<bool>("--create-database")
        {
            Description = "Create the database if the server has no database of this name.",
            Arity = ArgumentArity.Zero,
        };
        var distribute = new Option<bool>("--distribute")
        {
            Description = "Distribute the tables by client over the nodes of Citus.",
            Arity = ArgumentArity.Zero,
        };
        Add(create);
        Add(distribute);
        SetAction(
            (line, cancellationToken) =>
                runner.Run(async app =>
                {
                    foreach (var preparation in app.Services.GetServices<IDatabasePreparation>())
                        await preparation.BeforeMigration(cancellationToken);
                    await app
                        .Services.GetRequiredService<Database>()
                        .Migrate(line.GetValue(create), cancellationToken, line.GetValue(distribute));
                    var distributed = line.GetValue(distribute) ? ", and distributed by client" : "";
                    await line.InvocationConfiguration.Output.WriteLineAsync($"The schema is up to date{distributed}.");
                })
        );
    }

    /// <inheritdoc/>
    public string Example => "migrate --create-database";

    /// <inheritdoc/>
    public IReadOnlyList<(int Code, string Meaning)> ExitCodes => Commands.ExitCodes.OfWork;
}
