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
/// A change of a client, a key or a client's money, or an order to queue its events again. Rows are added, never changed, by
/// the transaction that makes the change.
/// </summary>
public sealed class ChangeRow
{
    /// <summary>The client.</summary>
    public required ClientId ClientId { get; init; }

    /// <summary>Which change of this client it is, from 1.</summary>
    public required int Number { get; init; }

    /// <summary>When (UTC).</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>Who: the token's subject.</summary>
    public required string Actor { get; init; }

    /// <summary>Why, as the caller said; empty when nothing was said.</summary>
    public required string Reason { get; init; }

    /// <summary>What was changed.</summary>
    public required ChangeKind Kind { get; init; }

    /// <summary>The key's version, the transfer's id, or the payment whose event was queued; otherwise empty.</summary>
    public required string Subject { get; init; }

    /// <summary>The state after the change, as JSON in the form of the internal API.</summary>
    public required string State { get; init; }
}

/// <summary>The statements that put a change on record. They stand in the batch that makes the change.</summary>
internal static class ChangeStatements
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Numbers the changes of one client: they come one after the other. SQLite has one writer, and no such lock.</summary>
    public static AtomicBatch BeginChange(this AtomicBatch batch, Database database, ClientId clientId) =>
        database.IsPostgres
            ? batch.Add("SELECT FROM clients WHERE client_id = $1 FOR NO KEY UPDATE", clientId.Value)
            : batch;

    /// <summary>Records a change if there is a row <paramref name="from"/>: a table with a condition on it.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="change">The change, whose number is the client's next.</param>
    /// <param name="from">
    /// FROM and WHERE, in which <c>$1</c> is the client, <c>$2</c> the time and <c>$6</c> the subject; values of its own begin
    /// with <c>$8</c>.
    /// </param>
    /// <param name="values">The values of <paramref name="from"/>.</param>
    public static AtomicBatch Record(this AtomicBatch batch, Recorded change, string from, params object?[] values) =>
        batch.Add(
            $"""
            INSERT INTO changes (client_id, number, at, actor, reason, kind, subject, state)
            SELECT $1, (SELECT coalesce(max(number), 0) + 1 FROM changes WHERE client_id = $1), $2, $3, $4, $5, $6, {change.StateSql}
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

    /// <summary>A state as it is stored.</summary>
    public static string Text<T>(T state) => JsonSerializer.Serialize(state, Json);
}

/// <summary>A change to be recorded.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Author">Who, why, when.</param>
/// <param name="Kind">Of what.</param>
/// <param name="Subject">Which.</param>
/// <param name="State">The state, as JSON; <c>$7</c> in <paramref name="StateSql"/>.</param>
/// <param name="StateSql">The expression that is stored: the state, or the state with what only the database knows.</param>
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
        // Of one client or key, the last record.
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
            .HasConstraintName("fk_changes_clients_client_id") // Its name would depend on which table is described first.
            .OnDelete(DeleteBehavior.Restrict);
    }
}
