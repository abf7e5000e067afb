using System.Data.Common;
using System.Globalization;
using CancelService.Application.Reading;
using CancelService.Domain;
using CancelService.Domain.Clients;

namespace CancelService.Sandbox;

/// <summary>Collects everything that makes the sandbox answer in an unusual way, for the banner of each page.</summary>
internal sealed class Unusual(TestClock clock, Scenarios scenarios, IClientQueries clients)
{
    /// <summary>The facts, each in a sentence; empty when everything is usual.</summary>
    public async Task<IReadOnlyList<string>> Facts()
    {
        var facts = new List<string>();
        if (clock.Ahead > TimeSpan.Zero)
            facts.Add(
                string.Create(CultureInfo.InvariantCulture, $"The clock is {clock.Ahead:d\\.hh\\:mm\\:ss} ahead.")
            );
        if (scenarios.StallLeft is { Ticks: > 0 } stall)
            facts.Add($"The database stalls until {End(stall)}.");
        if (scenarios.TurnAwayLeft is { Ticks: > 0 } away)
            facts.Add($"Every cancel is turned away until {End(away)}.");
        if (await HasOtherContract())
            facts.Add($"The contract of {DemoMerchant.ClientId} was changed.");
        return facts;
    }

    private async Task<bool> HasOtherContract()
    {
        try
        {
            var usual = new Contract();
            return await clients.Client(new ClientId(DemoMerchant.ClientId), CancellationToken.None) is { } client
                && (
                    !client.Enabled
                    || client.Contract.MayCancel != usual.MayCancel
                    || client.Contract.RequestsPerSecond != usual.RequestsPerSecond
                    || client.Contract.Burst != usual.Burst
                );
        }
        // The page does without.
        catch (Exception e) when (e is DbException or InvalidOperationException { InnerException: DbException })
        {
            return false;
        }
    }

    private string End(TimeSpan left) =>
        (clock.GetUtcNow() + left).ToString("HH:mm:ss '(UTC)'", CultureInfo.InvariantCulture);
}
