using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Payments;

/// <summary>A restore of the database from a backup, or a failover that lost commits.</summary>
public sealed class RestoreRow
{
    /// <summary>
    /// The time of its announcement (seconds since 1970, UTC): the epoch of the feeds' later cursors.
    /// </summary>
    public required long Epoch { get; init; }
}

/// <summary>
/// The restores of the database. A restore may undo rows that were read before it, so a feed's cursor carries the epoch
/// in which it was issued: docs/decisions/0016-a-restore-begins-an-epoch.md
/// </summary>
public sealed class Restores(Database database, TimeProvider time)
{
    /// <summary>An SQL expression over the table <c>restores</c> for the current epoch; 0 without a restore.</summary>
    internal const string LastEpoch = "coalesce(max(epoch), 0)";

    /// <summary>
    /// Returns the current epoch: the time of the last announced restore (seconds since 1970, UTC), or 0.
    /// </summary>
    public async Task<long> Epoch(CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await db.Set<RestoreRow>().MaxAsync(restore => (long?)restore.Epoch, cancellationToken) ?? 0;
    }

    /// <summary>
    /// Begins a new epoch and returns it. Call it after each restore, before an instance serves. The epoch is the
    /// current time, so it is later than all earlier ones, including those undone by the restore.
    /// </summary>
    public async Task<long> Begin(CancellationToken cancellationToken)
    {
        await database.Rows(
            new AtomicBatch().Add(
                $"""
                INSERT INTO restores (epoch)
                SELECT CASE WHEN {LastEpoch} < $1 THEN $1 ELSE {LastEpoch} + 1 END FROM restores
                """,
                time.GetUtcNow().ToUnixTimeSeconds()
            ),
            cancellationToken
        );
        return await Epoch(cancellationToken);
    }
}

/// <summary>The table <c>restores</c>.</summary>
internal sealed class RestoreTable : IEntityTypeConfiguration<RestoreRow>
{
    public void Configure(EntityTypeBuilder<RestoreRow> restore)
    {
        restore.ToTable("restores");
        restore.HasKey(r => r.Epoch);
        restore.Property(r => r.Epoch).ValueGeneratedNever();
    }
}
