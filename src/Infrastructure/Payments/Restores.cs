using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Payments;

/// <summary>A restore of the database from a backup, or a failover that lost commits.</summary>
public sealed class RestoreRow
{
    /// <summary>When it was made known (seconds since 1970, UTC): the epoch of the feeds' cursors from then on.</summary>
    public required long Epoch { get; init; }
}

/// <summary>
/// The restores that the database has seen. What was read before one may be undone, so cursors of feeds carry the epoch that
/// they were given in: docs/decisions/0016-a-restore-begins-an-epoch.md
/// </summary>
public sealed class Restores(Database database, TimeProvider time)
{
    /// <summary>The last epoch, as an expression over the table <c>restores</c>; 0 when there is none.</summary>
    internal const string LastEpoch = "coalesce(max(epoch), 0)";

    /// <summary>The epoch: when the last restore was made known (seconds since 1970, UTC); 0 when there was none.</summary>
    public async Task<long> Epoch(CancellationToken cancellationToken)
    {
        await using var db = database.CreateContext();
        return await db.Set<RestoreRow>().MaxAsync(restore => (long?)restore.Epoch, cancellationToken) ?? 0;
    }

    /// <summary>
    /// Begins a new epoch, and returns it. Call it after each restore, before an instance serves. The epoch is the current
    /// time, so it is later than all before, including those that the restore has undone.
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
