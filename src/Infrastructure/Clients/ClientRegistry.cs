using System.Globalization;
using CancelService.Application.Clients;
using CancelService.Application.Pipeline;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Infrastructure.Changes;
using CancelService.Infrastructure.Sql;

namespace CancelService.Infrastructure.Clients;

/// <summary>Changes clients and keys. This instance sees a change at once, the others within the cache time.</summary>
/// <remarks>
/// Each transaction records its change under the lock on the client's row, so the records have the order of the
/// changes. A record holds the state after the change; the previous record has the state before.
/// </remarks>
internal sealed class ClientRegistry(Database database, ClientCache cache) : IClientRegistry
{
    public async Task Put(Client client, ChangeAuthor author, CancellationToken cancellationToken)
    {
        var batch = new AtomicBatch()
            .Add(
                """
                INSERT INTO clients (client_id, name, enabled, contract_may_cancel, contract_window,
                    contract_requests_per_second, contract_burst, contract_remember_unknown,
                    contract_may_inquire, contract_inquiries_per_second, contract_inquiry_burst)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled,
                    contract_may_cancel = excluded.contract_may_cancel, contract_window = excluded.contract_window,
                    contract_requests_per_second = excluded.contract_requests_per_second,
                    contract_burst = excluded.contract_burst,
                    contract_remember_unknown = excluded.contract_remember_unknown,
                    contract_may_inquire = excluded.contract_may_inquire,
                    contract_inquiries_per_second = excluded.contract_inquiries_per_second,
                    contract_inquiry_burst = excluded.contract_inquiry_burst
                """,
                client.Id.Value,
                client.Name,
                client.Enabled,
                client.Contract.MayCancel,
                client.Contract.Window.ToString(),
                client.Contract.RequestsPerSecond,
                client.Contract.Burst,
                client.Contract.RememberUnknown,
                client.Contract.MayInquire,
                client.Contract.InquiriesPerSecond,
                client.Contract.InquiryBurst
            )
            .Record(
                new(client.Id, author, ChangeKind.Client, "", ChangeStatements.Text(ClientQueries.View(client))),
                "clients WHERE client_id = $1"
            );
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
        // Record the change only if it was written: the key's row is locked by now, and holds this key only then.
        var batch = new AtomicBatch()
            .BeginChange(database, clientId)
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
            .Record(
                Change(clientId, author, key.Version, ClientQueries.View(key)),
                "client_keys WHERE client_id = $1 AND version = $8 AND public_key = $9 AND revoked_at IS NULL",
                key.Version,
                key.PublicKey.Pem
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
        // Record before the change, so that a second revocation changes nothing and is not recorded.
        var batch = new AtomicBatch()
            .BeginChange(database, clientId)
            .Record(
                Change(clientId, author, version, new { version, revokedAt = author.At }),
                "client_keys WHERE client_id = $1 AND version = $8 AND revoked_at IS NULL",
                version
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

    private static Recorded Change<T>(ClientId clientId, ChangeAuthor author, int keyVersion, T state) =>
        new(
            clientId,
            author,
            ChangeKind.Key,
            keyVersion.ToString(CultureInfo.InvariantCulture),
            ChangeStatements.Text(state)
        );
}
