using CancelService.Api.Exchange;
using CancelService.Api.Operations.Cancel;
using CancelService.Domain;
using CancelService.Domain.Clients;
using Microsoft.Extensions.Options;

namespace CancelService.UnitTests;

/// <summary>Goal: admission control bounds the work of an instance, and no client starves the others.</summary>
public sealed class AdmissionTests
{
    private readonly CancelOperation _cancel = new(null!, null!, TimeProvider.System); // Executes nothing.

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_client_holds_at_most_its_share_of_the_places()
    {
        await using var admission = Admission(
            new()
            {
                MaxConcurrentRequests = 8,
                ClientSharePercent = 25,
                MaxQueueTime = TimeSpan.FromMinutes(1), // Has no effect where mayWait is false.
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
    public async Task A_client_gets_at_least_one_place_however_small_its_share()
    {
        await using var admission = Admission(new() { MaxConcurrentRequests = 3, ClientSharePercent = 1 });

        using var place = await Taken(admission.Enter(Client("ONE"), mayWait: false));
    }

    [Fact]
    public async Task Clients_together_hold_at_most_all_places_and_a_rejected_request_releases_its_share()
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
    public async Task Requests_of_one_client_wait_in_a_bounded_queue()
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
    public async Task Requests_of_all_clients_wait_in_a_bounded_queue()
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
    public async Task A_request_is_rejected_after_the_maximum_queue_time()
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
    public async Task Look_ups_for_unverified_requests_share_one_quota()
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
    public async Task Look_ups_are_rate_limited_for_unknown_clients_only()
    {
        await using var admission = Admission(new() { UnknownClientsPerSecond = 3 });
        var start = TimeProvider.System.GetTimestamp();
        var asked = 0;
        var introduced = 0;
        // One look-up more than the burst and the tokens that may have been added meanwhile.
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
    public async Task Unverified_answers_are_rate_limited_after_a_burst()
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
    public async Task A_contract_allows_a_burst_and_a_change_of_it_takes_effect_at_once()
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
