using CancelService.Api.Exchange;
using CancelService.Api.Operations.Cancel;
using CancelService.Domain;
using CancelService.Domain.Clients;
using Microsoft.Extensions.Options;

namespace CancelService.UnitTests;

/// <summary>How many requests get a place, a look-up or a signature, and who has to wait.</summary>
public sealed class AdmissionTests
{
    private readonly CancelOperation _cancel = new(null!, null!, TimeProvider.System); // Executes nothing.

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_client_holds_its_share_of_the_places_and_leaves_the_others_to_other_clients()
    {
        await using var admission = Admission(
            new()
            {
                MaxConcurrentRequests = 8,
                ClientSharePercent = 25,
                MaxQueueTime = TimeSpan.FromMinutes(1), // Who may not wait does not.
            }
        );
        var (one, other) = (Client("ONE"), Client("OTHER"));

        var first = await Taken(admission.Enter(one, mayWait: false));
        using var second = await Taken(admission.Enter(one, mayWait: false));
        await TurnedAway(admission.Enter(one, mayWait: false), "Limits:ClientSharePercent", isVerified: true);
        using var others = await Taken(admission.Enter(other, mayWait: false));

        first.Dispose();
        using var third = await Taken(admission.Enter(one, mayWait: false));
    }

    [Fact]
    public async Task However_small_its_share_is_a_client_gets_a_place()
    {
        await using var admission = Admission(new() { MaxConcurrentRequests = 3, ClientSharePercent = 1 });

        using var place = await Taken(admission.Enter(Client("ONE"), mayWait: false));
    }

    [Fact]
    public async Task All_clients_together_get_no_more_than_the_places_and_who_gets_none_keeps_no_share()
    {
        await using var admission = Admission(new() { MaxConcurrentRequests = 4, ClientSharePercent = 25 });
        var places = new List<Slot>();
        for (var i = 0; i < 4; i++)
            places.Add(await Taken(admission.Enter(Client($"CLIENT_{i}"), mayWait: false)));

        await TurnedAway(admission.Enter(Client("LATE"), mayWait: false), "Limits:MaxConcurrentRequests", true);
        places[0].Dispose();
        using var later = await Taken(admission.Enter(Client("LATE"), mayWait: false));
    }

    [Fact]
    public async Task A_request_waits_for_its_turn_in_a_queue_of_bounded_length()
    {
        await using var admission = Admission(
            new()
            {
                MaxConcurrentRequests = 4,
                ClientSharePercent = 25,
                MaxQueuedRequests = 1,
                MaxQueueTime = TimeSpan.FromMinutes(1),
            }
        );
        var first = await Taken(admission.Enter(Client("ONE"), mayWait: true));

        var waiting = admission.Enter(Client("ONE"), mayWait: true);
        waiting.IsCompleted.ShouldBeFalse();
        await TurnedAway(admission.Enter(Client("ONE"), mayWait: true), "Limits:ClientSharePercent", true);

        first.Dispose();
        using var second = await Taken(waiting);
    }

    [Fact]
    public async Task Requests_of_all_clients_wait_in_a_queue_of_bounded_length()
    {
        await using var admission = Admission(
            new()
            {
                MaxConcurrentRequests = 1,
                MaxQueuedRequests = 1,
                MaxQueueTime = TimeSpan.FromMinutes(1),
            }
        );
        var first = await Taken(admission.Enter(Client("ONE"), mayWait: true));

        var waiting = admission.Enter(Client("TWO"), mayWait: true);
        await TurnedAway(admission.Enter(Client("THREE"), mayWait: true), "Limits:MaxConcurrentRequests", true);

        first.Dispose();
        using var second = await Taken(waiting);
    }

    [Fact]
    public async Task A_request_that_has_waited_too_long_is_turned_away()
    {
        await using var admission = Admission(
            new() { MaxConcurrentRequests = 1, MaxQueueTime = TimeSpan.FromMilliseconds(10) }
        );
        using var held = await Taken(admission.Enter(Client("ONE"), mayWait: true));
        using var lookUp = await Taken(admission.LookUp(isNew: false));

        await TurnedAway(admission.Enter(Client("OTHER"), mayWait: true), "Limits:MaxConcurrentRequests", true);
        await TurnedAway(admission.LookUp(isNew: false), "Limits:MaxConcurrentRequests", isVerified: false);
    }

    [Fact]
    public async Task Look_ups_for_unverified_requests_have_one_share_together()
    {
        await using var admission = Admission(
            new()
            {
                MaxConcurrentRequests = 8,
                ClientSharePercent = 25,
                MaxQueuedRequests = 0,
            }
        );

        var first = await Taken(admission.LookUp(isNew: true));
        using var second = await Taken(admission.LookUp(isNew: false));
        await TurnedAway(admission.LookUp(isNew: false), "Limits:MaxConcurrentRequests", isVerified: false);

        first.Dispose();
        using var third = await Taken(admission.LookUp(isNew: false));
    }

    [Fact]
    public async Task Clients_that_the_instance_has_not_met_are_looked_up_at_a_rate_and_others_at_any()
    {
        await using var admission = Admission(new() { UnknownClientsPerSecond = 3 });
        var start = TimeProvider.System.GetTimestamp();
        var asked = 0;
        var introduced = 0;
        // As many as a burst and what may have been added meanwhile, and one more.
        while (asked++ <= Most())
        {
            if ((await admission.LookUp(isNew: true)).GoesOn(out var place, out var reply))
                introduced++;
            else
                reply.ShouldBe(new Reply.TurnedAway("Limits:UnknownClientsPerSecond", IsVerified: false));
            place?.Dispose();
        }
        introduced.ShouldBeInRange(3, Most());
        (await Taken(admission.LookUp(isNew: false))).Dispose();

        int Most() => 3 + (3 * (1 + (int)TimeProvider.System.GetElapsedTime(start).TotalSeconds));
    }

    [Fact]
    public async Task An_idle_instance_signs_a_burst_of_unverified_answers_and_then_so_many_a_second()
    {
        await using var admission = Admission(new() { UnverifiedAnswersPerSecond = 2, UnverifiedAnswersBurst = 20 });
        var start = TimeProvider.System.GetTimestamp();
        var permits = 0;
        for (var i = 0; i < 1000; i++)
            permits += admission.TryTakeUnverifiedPermit() ? 1 : 0;

        var seconds = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
        permits.ShouldBeInRange(20, 20 + (2 * (1 + (int)seconds)));
    }

    [Fact]
    public async Task A_contract_allows_a_burst_and_a_changed_one_holds_as_soon_as_it_is_seen()
    {
        await using var admission = Admission(new());
        var start = TimeProvider.System.GetTimestamp();
        Allowed(Client("ONE", requestsPerSecond: 1, burst: 5)).ShouldBeInRange(5, 5 + Seconds());
        Allowed(Client("ONE", requestsPerSecond: 1, burst: 7)).ShouldBeInRange(7, 7 + Seconds());
        Allowed(Client("OTHER", requestsPerSecond: 1, burst: 5)).ShouldBeInRange(5, 5 + Seconds());

        int Allowed(Client client) => Enumerable.Range(0, 1000).Count(_ => admission.IsWithinRate(client, _cancel));
        int Seconds() => 1 + (int)TimeProvider.System.GetElapsedTime(start).TotalSeconds;
    }

    private static Admission Admission(LimitsOptions limits) => new(Options.Create(limits));

    private static Client Client(string id, int requestsPerSecond = 100, int burst = 200) =>
        new()
        {
            Id = new ClientId(id),
            Name = id,
            Enabled = true,
            Contract = new Contract { RequestsPerSecond = requestsPerSecond, Burst = burst },
            Keys = [],
        };

    private static async Task<Slot> Taken(Task<Step<Slot>> step) =>
        (await step.WaitAsync(Deadline)).ShouldBeOfType<Step<Slot>.Next>().Value;

    private static async Task TurnedAway(Task<Step<Slot>> step, string limit, bool isVerified) =>
        (await step.WaitAsync(Deadline))
            .ShouldBeOfType<Step<Slot>.End>()
            .Reply.ShouldBe(new Reply.TurnedAway(limit, isVerified));
}
