using System.Collections.Concurrent;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.Coyote.Random;

namespace CancelService.ScheduleTests;

/// <summary>Goal: group commit loses no write, runs none twice, and reports each write's true outcome.</summary>
public sealed class GroupCommitTests
{
    private static readonly ClientId Merchant = new("M-1");

    [Fact]
    public void A_write_runs_once_and_its_caller_gets_its_outcome() =>
        Schedules.Explore(async () =>
        {
            var database = new FakeDatabase(refuses: Generator.Create().NextBoolean() ? 2 : -1);
            var commits = New(database);
            await Schedules.All(Enumerable.Range(0, 3).Select(i => Task.Run(() => Ask(commits, database, i))));
            await Ends(commits);
        });

    [Fact]
    public void An_unknown_outcome_reaches_exactly_the_writes_that_share_it() =>
        Schedules.Explore(async () =>
        {
            var database = new FakeDatabase(breaks: 1);
            var commits = New(database);
            await Schedules.All(Enumerable.Range(0, 3).Select(i => Task.Run(() => Ask(commits, database, i))));
            await Ends(commits);
            database.Broken.ShouldBe(1, "the failing write must fail once, whichever writes share its transaction");
        });

    [Fact]
    public void A_cancelled_call_writes_nothing_when_its_write_has_not_begun() =>
        Schedules.Explore(async () =>
        {
            var database = new FakeDatabase();
            var commits = New(database);
            using var patience = new CancellationTokenSource();
            await Schedules.All([
                .. Enumerable.Range(0, 2).Select(i => Task.Run(() => Ask(commits, database, i))),
                Task.Run(() => Ask(commits, database, 2, patience.Token)),
                Task.Run(patience.Cancel),
            ]);
            await Ends(commits);
        });

    // A random half of the transactions exceed the time that later writes wait for them.
    private static GroupCommit New(FakeDatabase database) =>
        new(
            database.Write,
            () => Generator.Create().NextBoolean() ? Task.CompletedTask : new TaskCompletionSource().Task
        );

    // A queue without waiters must release its memory.
    private static async Task Ends(GroupCommit commits)
    {
        while (!commits.IsIdle)
            await Task.Yield();
    }

    private static async Task Ask(
        GroupCommit commits,
        FakeDatabase database,
        int number,
        CancellationToken patience = default
    )
    {
        // The first and the last write change the same payment.
        var payment = new PaymentId($"p{number % 2}");
        var transfer = new TransferRow
        {
            ClientId = Merchant,
            TransferId = Guid.Empty,
            Debit = LedgerAccount.Merchant,
            Credit = LedgerAccount.Payers,
            MinorUnits = 1,
            Currency = new Currency("USD"),
            At = DateTimeOffset.UnixEpoch,
            PaymentId = payment,
            Actor = "",
        };
        var write = new GroupCommit.Write(new AtomicBatch().Add("write", number, payment.Value), payment, transfer);
        try
        {
            var result = await commits.Commit(Merchant, write, patience);
            database.Done(number).ShouldBe(result is WriteResult.Written ? 1 : 0);
            (result is WriteResult.Written).ShouldBe(number != database.Refuses);
        }
        catch (IOException)
        {
            database.Done(number).ShouldBe(0);
        }
        catch (OperationCanceledException)
        {
            patience.IsCancellationRequested.ShouldBeTrue();
            database.Done(number).ShouldBe(0);
        }
    }

    /// <summary>
    /// Writes a batch atomically. It refuses one given write, and fails on a batch that holds another.
    /// </summary>
    private sealed class FakeDatabase(int refuses = -1, int breaks = -1)
    {
        private readonly ConcurrentDictionary<int, int> _done = new();

        public int Refuses => refuses;

        public int Broken { get; private set; }

        public int Done(int number) => _done.GetValueOrDefault(number);

        public async Task<WriteResult> Write(AtomicBatch batch, CancellationToken cancellationToken)
        {
            var writes = batch.Statements.Where(statement => statement.Sql == "write").ToList();
            writes.Select(write => write.Values[1]).ShouldBeUnique();
            await Task.Yield(); // The request travels.
            if (writes.Exists(write => (int)write.Values[0]! == breaks))
            {
                Broken++;
                throw new IOException("The outcome is unknown.");
            }
            if (writes.Exists(write => (int)write.Values[0]! == refuses))
                return WriteResult.LostRace;
            foreach (var write in writes)
                _done.AddOrUpdate((int)write.Values[0]!, 1, (_, times) => times + 1);
            await Task.Yield(); // The answer travels.
            return WriteResult.Written;
        }
    }
}
