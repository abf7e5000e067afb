using System.Data.Common;
using Npgsql;

namespace CancelService.Infrastructure.Servers;

/// <summary>
/// Collects the server's warnings during a commit. After somebody cancels PostgreSQL's wait for a synchronous standby,
/// the commit succeeds with nothing but a warning, and a failover may still lose it.
/// </summary>
internal sealed class CommitWarnings : IDisposable
{
    private readonly NpgsqlConnection _connection;
    private PostgresNotice? _warning;

    /// <summary>Starts to listen.</summary>
    /// <param name="connection">The connection that will commit.</param>
    public CommitWarnings(NpgsqlConnection connection) => (_connection = connection).Notice += Listen;

    /// <summary>Throws if the server has warned.</summary>
    /// <exception cref="UnconfirmedCommitException">
    /// The server has warned, so the outcome of the commit is unknown.
    /// </exception>
    public void ThrowIfAny()
    {
        if (_warning is { } warning)
            throw new UnconfirmedCommitException(warning.MessageText, warning.SqlState);
    }

    /// <summary>Stops listening.</summary>
    public void Dispose() => _connection.Notice -= Listen;

    private void Listen(object sender, NpgsqlNoticeEventArgs e)
    {
        if (e.Notice.InvariantSeverity == "WARNING")
            _warning = e.Notice;
    }
}

/// <summary>
/// Thrown when the server committed with a warning: the commit may be lost, so its outcome is unknown.
/// </summary>
internal sealed class UnconfirmedCommitException(string warning, string sqlState) : DbException(warning)
{
    /// <inheritdoc/>
    public override string SqlState => sqlState;
}
