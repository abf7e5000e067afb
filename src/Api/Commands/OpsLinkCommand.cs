using System.CommandLine;
using CancelService.OperatorConsole;

namespace CancelService.Api.Commands;

/// <summary><c>ops-link</c> prints a link for signing in to the operations page.</summary>
internal sealed class OpsLinkCommand : Command, IExplained
{
    private const int MaxName = 64;

    public OpsLinkCommand(HostRunner runner)
        : base("ops-link", "Prints a link that signs an operator in to the operations page, once within five minutes.")
    {
        var name = new Argument<string>("NAME")
        {
            Description = $"The operator's name in the record of changes, 1 to {MaxName} characters.",
        };
        name.Validators.Add(result =>
        {
            var value = result.GetValueOrDefault<string>();
            if (value.Length is 0 or > MaxName || value.Any(char.IsControl))
                result.AddError($"NAME must have 1 to {MaxName} characters, and no control character.");
        });
        var mayRequeue = new Option<bool>("--may-requeue")
        {
            Description = "Let the operator requeue events.",
            Arity = ArgumentArity.Zero,
        };
        Add(name);
        Add(mayRequeue);
        SetAction(
            (line, cancellationToken) =>
                runner.Run(async app =>
                {
                    var link = await app
                        .Services.GetRequiredService<OpsLinks>()
                        .Make(line.GetRequiredValue(name), line.GetValue(mayRequeue), cancellationToken);
                    var address = (app.Configuration["Kestrel:Endpoints:Internal:Url"] ?? "").Replace(
                        "*",
                        "localhost",
                        StringComparison.Ordinal
                    );
                    await line.InvocationConfiguration.Output.WriteLineAsync(
                        $"{address}{OpsSession.SignInPath}?link={link}"
                    );
                })
        );
    }

    /// <inheritdoc/>
    public string Example => "ops-link alice --may-requeue";

    /// <inheritdoc/>
    public IReadOnlyList<(int Code, string Meaning)> ExitCodes => Commands.ExitCodes.OfWork;
}
