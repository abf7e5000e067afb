using System.Collections.Concurrent;
using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Ledger;
using CancelService.Infrastructure.Ledger;
using CancelService.Infrastructure.Sql;
using Microsoft.Coyote.Random;

namespace CancelService.ScheduleTests;

/// <summary>Writes of one merchant that wait for each other: none is lost, done twice, or told what is not true.</summary>
public sealed class GroupCommitTests
{
    private static readonly ClientId Merchant = new("M-1");

    [Fact]
    public void Each_write_is_done_once_and_its_caller_told_what_came_of_it() =>
        Schedules.Explore(async () =>
        {
            var database = new FakeDatabase(refuses: Generator.Create().NextBoolean() ? 2 : -1);
            var commits = New(database);
            await Schedules.All(Enumerable.Range(0, 3).Select(i => Task.Run(() => Ask(commits, database, i))));
            await Ends(commits);
        });

    [Fact]
    public void An_unknown_outcome_is_told_to_all_who_share_it_and_to_nobody_else() =>
        Schedules.Explore(async () =>
        {
            var database = new FakeDatabase(breaks: 1);
            var commits = New(database);
            await Schedules.All(Enumerable.Range(0, 3).Select(i => Task.Run(() => Ask(commits, database, i))));
            await Ends(commits);
            database.Broken.ShouldBe(
                1,
                "the write that is broken breaks once, whomever it shares its transaction with"
            );
        });

    [Fact]
    public void Who_gives_up_before_the_write_began_has_written_nothing() =>
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

    // Some transactions take too long for others to wait for them.
    private static GroupCommit New(FakeDatabase database) =>
        new(
            database.Write,
            () => Generator.Create().NextBoolean() ? Task.CompletedTask : new TaskCompletionSource().Task
        );

    // Nothing is left of a line that nobody waits in.
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
        // The first and the last are of one payment.
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

    /// <summary>Takes all writes of a batch, or none: it refuses one, or breaks with one in it.</summary>
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
            await Task.Yield(); // On its way.
            if (writes.Exists(write => (int)write.Values[0]! == breaks))
            {
                Broken++;
                throw new IOException("The outcome is unknown.");
            }
            if (writes.Exists(write => (int)write.Values[0]! == refuses))
                return WriteResult.LostRace;
            foreach (var write in writes)
                _done.AddOrUpdate((int)write.Values[0]!, 1, (_, times) => times + 1);
            await Task.Yield(); // The answer is on its way.
            return WriteResult.Written;
        }
    }
}
