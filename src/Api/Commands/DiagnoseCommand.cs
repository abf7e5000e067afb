using System.CommandLine;
using CancelService.Api.Internal;
using CancelService.Application.Clients;
using CancelService.Doctor;
using CancelService.Domain;

namespace CancelService.Api.Commands;

/// <summary><c>diagnose</c> explains why a merchant's request is refused.</summary>
internal sealed class DiagnoseCommand : Command, IExplained
{
    public DiagnoseCommand(HostRunner runner)
        : base("diagnose", "Explains to the byte why a merchant's request is refused. It only reads.")
    {
        var file = new Argument<string?>("FILE")
        {
            Description =
                "Raw HTTP, a curl command, an HAR entry or a log line. Without a file, or with -, standard input.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Add(file);
        SetAction(
            (line, cancellationToken) =>
                runner.Verdict(
                    Name,
                    async app =>
                    {
                        var paste = await Read(line.GetValue(file), cancellationToken);
                        var diagnosis = await Examine(app.Services, paste, cancellationToken);
                        await line.InvocationConfiguration.Output.WriteAsync(DiagnosisText.Of(diagnosis));
                        return diagnosis.Causes.Count > 0 || diagnosis.Answer is { Causes.Count: > 0 };
                    }
                )
        );
    }

    /// <inheritdoc/>
    public string Example => "diagnose request.txt";

    /// <inheritdoc/>
    public IReadOnlyList<(int Code, string Meaning)> ExitCodes => Commands.ExitCodes.OfVerdict;

    private static async Task<ReadOnlyMemory<byte>> Read(string? file, CancellationToken cancellationToken)
    {
        await using var input = file is null or "-" ? Console.OpenStandardInput() : File.OpenRead(file);
        var paste = new byte[PastedRequest.MaxBytes + 1]; // One byte more shows that the text is too long.
        var length = await input.ReadAtLeastAsync(paste, paste.Length, throwOnEndOfStream: false, cancellationToken);
        return paste.AsMemory(0, length);
    }

    private static async Task<Diagnosis> Examine(
        IServiceProvider services,
        ReadOnlyMemory<byte> paste,
        CancellationToken cancellationToken
    )
    {
        var pasted = PastedRequest.Read(paste.Span, out var problem) ?? throw new FormatException(problem);
        var client =
            pasted.Header("Client-Id") is [var id, ..] && ClientId.IsWellFormed(id)
                ? await services.GetRequiredService<IClients>().Find(new ClientId(id), cancellationToken)
                : null;
        var now = services.GetRequiredService<TimeProvider>().GetUtcNow();
        return services
            .GetRequiredService<RequestDoctor>()
            .Examine(pasted, client is null ? null : DiagnoseApi.Examined(client), now, cameNow: false);
    }
}
