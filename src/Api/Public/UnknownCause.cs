using System.Data.Common;
using System.Globalization;
using System.Net.Sockets;

namespace CancelService.Api.Public;

/// <summary>Why an outcome is unknown, in the words of an operator.</summary>
/// <param name="Text">The cause, on one line; for a database's refusal with its SQLSTATE.</param>
/// <param name="NeedsTrace">Whether where it happened says more than the text: not when the database is away.</param>
public sealed record UnknownCause(string Text, bool NeedsTrace)
{
    // Connection lost, not enough resources, an operator or a lock or a failover in between: nothing of ours is wrong.
    private static readonly string[] Away = ["08", "25006", "40", "53", "55", "57"];

    /// <summary>The cause of a failure; <paramref name="timeout"/> is how long an answer may wait for the database.</summary>
    public static UnknownCause Of(Exception failure, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(failure);
        var chain = Chain(failure).ToList();
        var database = chain.OfType<DbException>().FirstOrDefault();
        if (chain.OfType<DbException>().FirstOrDefault(e => e.SqlState is not null) is { } refused)
        {
            return new(
                $"the database refused with SQLSTATE {refused.SqlState}: {OneLine(refused.Message)}",
                !Away.Any(prefix => refused.SqlState!.StartsWith(prefix, StringComparison.Ordinal))
            );
        }
        if (chain.Exists(e => e is OperationCanceledException or TimeoutException))
            return new(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"no answer from the database within {timeout.TotalSeconds:0.###} s"
                ),
                NeedsTrace: false
            );
        if (database is not null || chain.Exists(e => e is SocketException or IOException))
            return new($"the database is out of reach: {OneLine((database ?? failure).Message)}", NeedsTrace: false);
        return new($"{failure.GetType().Name}: {OneLine(failure.Message)}", NeedsTrace: true);
    }

    private static IEnumerable<Exception> Chain(Exception failure)
    {
        for (var e = failure; e is not null; e = e.InnerException)
            yield return e;
    }

    private static string OneLine(string text) =>
        text.Split('\n', 2)[0].Trim() is { Length: > 300 } line ? line[..300] : text.Split('\n', 2)[0].Trim();
}
