using System.Security.Cryptography;
using System.Text;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Operators;

/// <summary>A session of an operator, or a link that may begin one.</summary>
public sealed class OperatorSessionRow
{
    /// <summary>
    /// SHA-256 of the session's identifier in hexadecimal, so that readers of the database can't take a session over.
    /// </summary>
    public required string IdHash { get; init; }

    /// <summary>False for a link that has not been used yet.</summary>
    public required bool IsOpen { get; init; }

    /// <summary>The end of the session or of the link's validity (UTC), by the database's clock.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }
}

/// <summary>
/// The sessions of operators on all instances. Ends are compared with the database's clock, so the clocks of instances
/// do not matter. Expired rows are deleted with the next insert.
/// </summary>
public sealed class OperatorSessions(Database database)
{
    /// <summary>Makes an identifier of 256 random bits.</summary>
    public static string NewId() => RandomNumberGenerator.GetHexString(64, lowercase: true);

    /// <summary>Records a link, which <see cref="Accept"/> turns into a session once.</summary>
    public Task Offer(string id, TimeSpan validity, CancellationToken cancellationToken) =>
        Insert(id, isOpen: false, validity, cancellationToken);

    /// <summary>Opens a session.</summary>
    public Task Open(string id, TimeSpan duration, CancellationToken cancellationToken) =>
        Insert(id, isOpen: true, duration, cancellationToken);

    /// <summary>
    /// Opens the session of a link; false when the link has expired or was used, on whichever instance. The conditional
    /// write decides between concurrent uses.
    /// </summary>
    public async Task<bool> Accept(string id, TimeSpan duration, CancellationToken cancellationToken) =>
        await database.Rows(
            new AtomicBatch().Add(
                $"""
                UPDATE operator_sessions SET is_open = TRUE, expires_at = {Later("$2")}
                WHERE id_hash = $1 AND NOT is_open AND expires_at > {Now}
                """,
                Hash(id),
                Value(duration)
            ),
            cancellationToken
        ) == 1;

    /// <summary>Returns true while the session is open.</summary>
    public async Task<bool> IsOpen(string id, CancellationToken cancellationToken)
    {
        var hash = Hash(id);
        await using var db = database.CreateContext();
        var open = database.IsPostgres
            ? db.Database.SqlQuery<int>(
                $"""
                SELECT 1 AS "Value" FROM operator_sessions
                WHERE id_hash = {hash} AND is_open AND expires_at > now()
                """
            )
            : db.Database.SqlQuery<int>(
                $"""
                SELECT 1 AS "Value" FROM operator_sessions
                WHERE id_hash = {hash} AND is_open AND expires_at > unixepoch('now', 'subsec') * 1000000
                """
            );
        return await open.AnyAsync(cancellationToken);
    }

    /// <summary>Ends a session on all instances.</summary>
    public Task End(string id, CancellationToken cancellationToken) =>
        database.Rows(
            new AtomicBatch().Add("DELETE FROM operator_sessions WHERE id_hash = $1", Hash(id)),
            cancellationToken
        );

    private Task<int> Insert(string id, bool isOpen, TimeSpan duration, CancellationToken cancellationToken) =>
        database.Rows(
            new AtomicBatch()
                .Add($"DELETE FROM operator_sessions WHERE expires_at <= {Now}")
                .Add(
                    $"""
                    INSERT INTO operator_sessions (id_hash, is_open, expires_at)
                    VALUES ($1, {(isOpen ? "TRUE" : "FALSE")}, {Later("$2")})
                    """,
                    Hash(id),
                    Value(duration)
                ),
            cancellationToken
        );

    private string Now => database.IsPostgres ? "now()" : "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)";

    private string Later(string duration) => $"{Now} + {duration}";

    // SQLite stores times in microseconds.
    private object Value(TimeSpan duration) => database.IsPostgres ? duration : (long)duration.TotalMicroseconds;

    private static string Hash(string id) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(id)));
}

/// <summary>The table <c>operator_sessions</c>.</summary>
internal sealed class OperatorSessionTable : IEntityTypeConfiguration<OperatorSessionRow>
{
    public void Configure(EntityTypeBuilder<OperatorSessionRow> session)
    {
        session.ToTable("operator_sessions");
        session.HasKey(s => s.IdHash);
        session.Property(s => s.IdHash).HasMaxLength(64);
    }
}
