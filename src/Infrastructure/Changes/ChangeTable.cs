using System.Text.Encodings.Web;
using System.Text.Json;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace CancelService.Infrastructure.Changes;

/// <summary>
/// A record of a change of a client, a key or a client's money, or of an order to queue its events again. The
/// transaction that makes the change adds the row; rows never change.
/// </summary>
public sealed class ChangeRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>The number of the change within its client, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>The time of the change (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The subject of the caller's token.</summary>
    public required string Actor { get; init; }

    /// <summary>The caller's reason; empty when the caller gave none.</summary>
    public required string Reason { get; init; }

    /// <summary>The kind of the change.</summary>
    public required ChangeKind Kind { get; init; }

    /// <summary>The key's version, the transfer's id, or the payment of a requeued event; otherwise empty.</summary>
    public required string Subject { get; init; }

    /// <summary>The state after the change, as JSON in the form of the internal API.</summary>
    public required string State { get; init; }
}

/// <summary>The statements that record a change. They are part of the batch that makes it.</summary>
internal static class ChangeStatements
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>
    /// Locks the client, so that its changes are numbered in order. SQLite has one writer and needs no lock.
    /// </summary>
    public static AtomicBatch BeginChange(this AtomicBatch batch, Database database, ClientId clientId) =>
        database.IsPostgres
            ? batch.Add("SELECT FROM clients WHERE client_id = $1 FOR NO KEY UPDATE", clientId.Value)
            : batch;

    /// <summary>Records a change if <paramref name="from"/> selects a row.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="change">The change. It gets the client's next number.</param>
    /// <param name="from">
    /// A table and a condition. <c>$1</c> is the client, <c>$2</c> the time, <c>$6</c> the subject;
    /// <paramref name="values"/> begin with <c>$8</c>.
    /// </param>
    /// <param name="values">The values of <paramref name="from"/>.</param>
    public static AtomicBatch Record(this AtomicBatch batch, Recorded change, string from, params object?[] values) =>
        batch.Add(
            $"""
            INSERT INTO changes (client_id, number, at, actor, reason, kind, subject, state)
            SELECT $1, (SELECT coalesce(max(number), 0) + 1 FROM changes WHERE client_id = $1), $2, $3, $4, $5, $6,
                {change.StateSql}
            FROM {from}
            """,
            [
                change.ClientId.Value,
                change.Author.At,
                change.Author.Actor,
                change.Author.Reason,
                CancelDbContext.Stored(change.Kind),
                change.Subject,
                change.State,
                .. values,
            ]
        );

    /// <summary>Serialises a state as it is stored.</summary>
    public static string Text<T>(T state) => JsonSerializer.Serialize(state, Json);
}

/// <summary>A change to be recorded.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Author">The caller, its reason and the time.</param>
/// <param name="Kind">The kind of the change.</param>
/// <param name="Subject">
/// The key's version, the transfer's id, or the payment of a requeued event; otherwise empty.
/// </param>
/// <param name="State">The state, as JSON; <c>$7</c> in <paramref name="StateSql"/>.</param>
/// <param name="StateSql">
/// The SQL expression to store: the state, perhaps with members that only the database knows.
/// </param>
internal sealed record Recorded(
    ClientId ClientId,
    ChangeAuthor Author,
    ChangeKind Kind,
    string Subject,
    string State,
    string StateSql = "$7"
);

/// <summary>The table <c>changes</c>.</summary>
internal sealed class ChangeTable : IEntityTypeConfiguration<ChangeRow>
{
    public void Configure(EntityTypeBuilder<ChangeRow> change)
    {
        change.ToTable("changes");
        change.HasKey(c => new { c.ClientId, c.Number });
        change.Property(c => c.Number).ValueGeneratedNever();
        change.Property(c => c.Actor).HasMaxLength(256);
        change.Property(c => c.Reason).HasMaxLength(512);
        change.Property(c => c.Subject).HasMaxLength(Identifier.MaxLength);
        // Serves the look-up of the last record of a client or key.
        change.HasIndex(c => new
        {
            c.ClientId,
            c.Kind,
            c.Subject,
            c.Number,
        });
        change.HasIndex(c => c.At);
        change
            .HasOne<Client>()
            .WithMany()
            .HasForeignKey(c => c.ClientId)
            // Named here, because the default name depends on the order of the tables.
            .HasConstraintName("fk_changes_clients_client_id")
            .OnDelete(DeleteBehavior.Restrict);
    }
}
