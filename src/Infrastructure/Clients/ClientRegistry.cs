using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Persistence;

namespace CancelService.Infrastructure.Clients;

/// <summary>The clients in the database. This instance sees a change at once, the others within the cache time.</summary>
internal sealed class ClientRegistry(Database database, ClientCache cache) : IClientRegistry
{
    public async Task Put(Client client, CancellationToken cancellationToken)
    {
        await database.Write(
            new AtomicBatch().Add(
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
            ),
            cancellationToken
        );
        cache.Forget(client.Id);
    }

    public async Task<ClientOutcome> PutKey(ClientId clientId, ClientKey key, CancellationToken cancellationToken)
    {
        var written = await database.Write(
            new AtomicBatch().Add(
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
            ),
            cancellationToken
        );
        cache.Forget(clientId);
        return written switch
        {
            WriteResult.LostRace => ClientOutcome.NotFound, // The foreign key found no client.
            WriteResult.NothingToChange => ClientOutcome.KeyDiffers,
            WriteResult.Written => ClientOutcome.Done,
        };
    }

    public async Task<ClientOutcome> RevokeKey(
        ClientId clientId,
        int version,
        DateTimeOffset now,
        CancellationToken cancellationToken
    )
    {
        var written = await database.Write(
            new AtomicBatch().Add(
                """
                UPDATE client_keys SET revoked_at = coalesce(revoked_at, $1) WHERE client_id = $2 AND version = $3
                """,
                now,
                clientId.Value,
                version
            ),
            cancellationToken
        );
        cache.Forget(clientId);
        return written is WriteResult.Written ? ClientOutcome.Done : ClientOutcome.NotFound;
    }
}
