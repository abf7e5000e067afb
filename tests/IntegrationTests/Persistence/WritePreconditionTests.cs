using System.Data.Common;
using CancelService.Infrastructure.Payments;
using CancelService.Infrastructure.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Persistence;

/// <summary>Goal: a host's precondition guards every write; while it fails, a batch writes nothing.</summary>
public sealed class WritePreconditionTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Both.Databases), MemberType = typeof(Both))]
    public async Task Batch_is_refused_as_a_whole_while_the_precondition_fails(DatabaseProvider provider)
    {
        using var schema = await TestDatabase.Create(provider, postgres);
        await using var host = await TestHost.Start(
            schema,
            with: services => services.AddSingleton(new WritePrecondition("SELECT 1 FROM mark"))
        );
        var database = host.Services.GetRequiredService<Database>();

        await Should.ThrowAsync<DbException>(() => database.Write(Epochs(1, 2), Token));
        await Should.ThrowAsync<DbException>(() => database.Write(Epochs(1), Token));
        await Should.ThrowAsync<DbException>(() => database.Rows(Returning(1), row => row.GetInt64(0), Token));
        (await Count()).ShouldBe(0);

        await host.Execute("CREATE TABLE mark (number integer)");
        (await database.Rows(Epochs(1, 2), Token)).ShouldBe(2);
        (await database.Rows(Epochs(3), Token)).ShouldBe(1);
        (await database.Rows(Returning(4), row => row.GetInt64(0), Token)).ShouldBe([4]);
        (await Count()).ShouldBe(4);

        await host.Execute("DROP TABLE mark");
        await Should.ThrowAsync<DbException>(() => database.Rows(Returning(5), row => row.GetInt64(0), Token));
        (await Count()).ShouldBe(4);

        async Task<int> Count()
        {
            await using var db = host.Db();
            return await db.Set<RestoreRow>().CountAsync(Token);
        }
    }

    private static AtomicBatch Epochs(params long[] epochs)
    {
        var batch = new AtomicBatch();
        foreach (var epoch in epochs)
            batch.Add("INSERT INTO restores (epoch) VALUES ($1)", epoch);
        return batch;
    }

    private static AtomicBatch Returning(long epoch) =>
        new AtomicBatch().Add("INSERT INTO restores (epoch) VALUES ($1) RETURNING epoch", epoch);
}
