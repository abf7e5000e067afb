using System.Text.Json;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;

namespace CancelService.Infrastructure.Changes;

/// <summary>Reads the record of changes.</summary>
internal sealed class ChangeQueries(Database database) : IChangeQueries
{
    public async Task<Page<Change>?> Changes(
        ChangeFilter filter,
        string? after,
        int limit,
        CancellationToken cancellationToken
    )
    {
        if (TimeCursor.Parse(after, filter.From, filter.To) is not { } cursor)
            return null;

        var rows = await database.Read(
            db =>
                WithBefore(
                        db,
                        Wanted(db, filter)
                            .Where(c => c.At >= cursor.From)
                            .OrderBy(c => c.At)
                            .ThenBy(c => c.ClientId)
                            .ThenBy(c => c.Number)
                            .Skip(cursor.Read)
                            .Take(limit + 1)
                    )
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        var items = rows.Take(limit).Select(View).ToList();
        return new(items, rows.Count <= limit ? null : cursor.Behind(items.ConvertAll(item => item.At)));
    }

    public async Task<IReadOnlyList<Change>> Newest(
        int limit,
        CancellationToken cancellationToken,
        ClientId? clientId = null
    )
    {
        var rows = await database.Read(
            db =>
                WithBefore(
                        db,
                        db.Set<ChangeRow>()
                            .AsNoTracking()
                            .Where(c => clientId == null || c.ClientId == clientId)
                            .OrderByDescending(c => c.At)
                            .ThenByDescending(c => c.ClientId)
                            .ThenByDescending(c => c.Number)
                            .Take(limit)
                    )
                    .ToListAsync(cancellationToken),
            cancellationToken
        );
        return rows.ConvertAll(View);
    }

    private static IQueryable<ChangeRow> Wanted(CancelDbContext db, ChangeFilter filter)
    {
        var wanted = db.Set<ChangeRow>().AsNoTracking().Where(c => c.At < filter.To);
        if (filter.ClientId is { } clientId)
            wanted = wanted.Where(c => c.ClientId == clientId);
        if (filter.Actor is { } actor)
            wanted = wanted.Where(c => c.Actor == actor);
        if (filter.Kind is { } kind)
            wanted = wanted.Where(c => c.Kind == kind);
        return wanted;
    }

    // The state before is in the previous record of the same client or key. Transfers and requeues have no state
    // before.
    private static IQueryable<Changed> WithBefore(CancelDbContext db, IQueryable<ChangeRow> changes) =>
        changes.Select(c => new Changed
        {
            Row = c,
            Before =
                c.Kind == ChangeKind.Client || c.Kind == ChangeKind.Key
                    ? db.Set<ChangeRow>()
                        .Where(b =>
                            b.ClientId == c.ClientId
                            && b.Kind == c.Kind
                            && b.Subject == c.Subject
                            && b.Number < c.Number
                        )
                        .OrderByDescending(b => b.Number)
                        .Select(b => b.State)
                        .FirstOrDefault()
                    : null,
        });

    private static Change View(Changed changed) =>
        new(
            changed.Row.ClientId.Value,
            changed.Row.Kind,
            changed.Row.Subject,
            changed.Row.At,
            changed.Row.Actor,
            changed.Row.Reason,
            changed.Before is null ? null : JsonElement.Parse(changed.Before),
            JsonElement.Parse(changed.Row.State)
        );

    private sealed class Changed
    {
        public required ChangeRow Row { get; init; }

        public required string? Before { get; init; }
    }
}
