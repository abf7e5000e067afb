using System.Text.Encodings.Web;
using System.Text.Json;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Persistence;

namespace CancelService.Infrastructure.Clients;

/// <summary>The clients in the database. This instance sees a change at once, the others within the cache time.</summary>
/// <remarks>
/// Each change is recorded in the transaction that makes it, under the lock on the client's row, so the records are in the
/// order of the changes. A record holds the state after the change; the state before is in the previous record.
/// </remarks>
internal sealed class ClientRegistry(Database database, ClientCache cache) : IClientRegistry
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public async Task Put(Client client, ChangeAuthor author, CancellationToken cancellationToken)
    {
        var batch = new AtomicBatch()
            .Add(
                """
                INSERT INTO clients (client_id, name, enabled, contract_may_cancel, contract_window,
                    contract_requests_per_second, contract_burst, contract_remember_unknown)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled,
                    contract_may_cancel = excluded.contract_may_cancel, contract_window = excluded.contract_window,
                    contract_requests_per_second = excluded.contract_requests_per_second,
                    contract_burst = excluded.contract_burst,
                    contract_remember_unknown = excluded.contract_remember_unknown
                """,
                client.Id.Value,
                client.Name,
                client.Enabled,
                client.Contract.MayCancel,
                client.Contract.Window.ToString(),
                client.Contract.RequestsPerSecond,
                client.Contract.Burst,
                client.Contract.RememberUnknown
            )
            .Add(Records("clients", "client_id = $1"), Change(client.Id, author, 0, ClientQueries.View(client)));
        await database.Write(batch, cancellationToken);
        cache.Forget(client.Id);
    }

    public async Task<ClientResult> PutKey(
        ClientId clientId,
        ClientKey key,
        ChangeAuthor author,
        CancellationToken cancellationToken
    )
    {
        // Recorded only if it was written: by now the key's row is locked, and it has this key only if the change was not
        // refused.
        var batch = Locking(clientId)
            .Add(
                """
                INSERT INTO client_keys (client_id, version, public_key, not_before, not_after)
                VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (client_id, version) DO UPDATE
                SET not_before = excluded.not_before, not_after = excluded.not_after
                WHERE client_keys.public_key = excluded.public_key AND client_keys.revoked_at IS NULL
                """,
                clientId.Value,
                key.Version,
                key.PublicKey.Pem,
                key.NotBefore,
                key.NotAfter
            )
            .Add(
                Records("client_keys", "client_id = $1 AND version = $5 AND public_key = $7 AND revoked_at IS NULL"),
                [.. Change(clientId, author, key.Version, ClientQueries.View(key)), key.PublicKey.Pem]
            );
        var written = await database.Write(batch, cancellationToken);
        cache.Forget(clientId);
        return written switch
        {
            WriteResult.LostRace => new ClientResult.NotFound(), // The foreign key found no client.
            WriteResult.NothingToChange => new ClientResult.KeyDiffers(),
            WriteResult.Written => new ClientResult.Done(),
        };
    }

    public async Task<ClientResult> RevokeKey(
        ClientId clientId,
        int version,
        ChangeAuthor author,
        CancellationToken cancellationToken
    )
    {
        // Recorded before the key is changed, so that a second revocation changes nothing and is not recorded.
        var batch = Locking(clientId)
            .Add(
                Records("client_keys", "client_id = $1 AND version = $5 AND revoked_at IS NULL"),
                Change(clientId, author, version, new { version, revokedAt = author.At })
            )
            .Add(
                """
                UPDATE client_keys SET revoked_at = coalesce(revoked_at, $1) WHERE client_id = $2 AND version = $3
                """,
                author.At,
                clientId.Value,
                version
            );
        var written = await database.Write(batch, cancellationToken);
        cache.Forget(clientId);
        return written is WriteResult.Written ? new ClientResult.Done() : new ClientResult.NotFound();
    }

    // Changes of one client come one after the other. SQLite has one writer, and no such lock.
    private AtomicBatch Locking(ClientId clientId) =>
        database.IsPostgres
            ? new AtomicBatch().Add("SELECT FROM clients WHERE client_id = $1 FOR UPDATE", clientId.Value)
            : new AtomicBatch();

    private static string Records(string table, string where) =>
        $"""
            INSERT INTO client_changes (client_id, number, at, actor, reason, key_version, state)
            SELECT $1, (SELECT coalesce(max(number), 0) + 1 FROM client_changes WHERE client_id = $1), $2, $3, $4, $5, $6
            FROM {table} WHERE {where}
            """;

    private static object?[] Change<T>(ClientId clientId, ChangeAuthor author, int keyVersion, T state) =>
        [clientId.Value, author.At, author.Actor, author.Reason, keyVersion, JsonSerializer.Serialize(state, Json)];
}
