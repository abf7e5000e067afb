using System.Data.Common;
using System.Globalization;
using System.Net.Sockets;

namespace CancelService.Api.Failures;

/// <summary>The cause of an unknown outcome, for operators.</summary>
/// <param name="Text">The cause on one line, with the SQLSTATE of a database's refusal.</param>
/// <param name="IsDatabaseAway">Whether the failure means an outage of the database.</param>
/// <param name="NeedsTrace">Whether the failure may be a defect, so that its stack trace is logged.</param>
public sealed record UnknownCause(string Text, bool IsDatabaseAway, bool NeedsTrace)
{
    // Connection lost, read-only after a failover, insufficient resources, shutting down.
    private static readonly string[] Away = ["08", "25006", "53", "57"];

    // The database is up: a commit without a standby's confirmation, a serialization failure, a deadlock, a lock of
    // another session.
    private static readonly string[] Passing = ["01", "40", "55"];

    /// <summary>Explains a failure; <paramref name="timeout"/> is <c>Database:Timeout</c>.</summary>
    public static UnknownCause Of(Exception failure, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(failure);
        var chain = Chain(failure).ToList();
        var database = chain.OfType<DbException>().FirstOrDefault();
        var refused = chain.OfType<DbException>().FirstOrDefault(e => e.SqlState is not null);
        if (refused is not null)
        {
            return new(
                $"the database refused with SQLSTATE {refused.SqlState}: {OneLine(refused.Message)}",
                IsDatabaseAway: Is(Away),
                NeedsTrace: !Is(Away) && !Is(Passing)
            );
        }
        if (chain.Exists(e => e is OperationCanceledException or TimeoutException))
        {
            var seconds = timeout.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture);
            return new($"no answer from the database within {seconds} s", IsDatabaseAway: true, NeedsTrace: false);
        }
        if (database is not null || chain.Exists(e => e is SocketException or IOException))
        {
            var message = OneLine((database ?? failure).Message);
            return new($"the database is out of reach: {message}", IsDatabaseAway: true, NeedsTrace: false);
        }
        return new($"{failure.GetType().Name}: {OneLine(failure.Message)}", IsDatabaseAway: false, NeedsTrace: true);

        bool Is(string[] states) =>
            states.Any(state => refused?.SqlState?.StartsWith(state, StringComparison.Ordinal) is true);
    }

    private static IEnumerable<Exception> Chain(Exception failure)
    {
        for (var e = failure; e is not null; e = e.InnerException)
            yield return e;
    }

    private static string OneLine(string text)
    {
        var line = text.Split('\n', 2)[0].Trim();
        return line.Length > 300 ? line[..300] : line;
    }
}
