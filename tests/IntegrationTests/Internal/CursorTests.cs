using CancelService.Infrastructure.Sql;

namespace CancelService.IntegrationTests.Internal;

/// <summary>Goal: every list rejects a cursor that no page has issued, instead of failing or starting over.</summary>
public sealed class CursorTests(SharedHosts hosts) : IClassFixture<SharedHosts>
{
    private const string Span = "from=2026-11-23T12:00:00Z&to=2026-11-23T13:00:00Z&";

    [Theory]
    [InlineData("/clients?after=%00")]
    [InlineData("/clients?after=a.b")]
    [InlineData("/clients/{client}/keys?after=%00")]
    [InlineData("/clients/{client}/keys?after=-1")]
    [InlineData("/clients/{client}/accounts/USD?after=%00")]
    [InlineData("/clients/{client}/accounts/USD?after=zzz")]
    [InlineData("/clients/{client}/cancellations?after=%00")]
    [InlineData("/clients/{client}/cancellations?after=-1")]
    [InlineData("/clients/{client}/cancellations?after=17")]
    [InlineData("/clients/{client}/cancellations?after=0--1")]
    [InlineData("/clients/{client}/cancellations?after=0-9223372036854775808")]
    [InlineData("/clients/{client}/late-reports?after=zzz")]
    [InlineData("/clients/{client}/late-reports?after=-1")]
    [InlineData("/cancellations?" + Span + "after=%00")]
    [InlineData("/cancellations?" + Span + "after=0-0")]
    [InlineData("/notifications?after=%00")]
    [InlineData("/notifications?after=zzz")]
    [InlineData("/notifications?after=%00/p1")]
    [InlineData("/notifications?after=m/%00")]
    [InlineData("/notifications?after=m/p/1")]
    public async Task List_rejects_a_cursor_that_no_page_issued(string path)
    {
        var host = await hosts.On(DatabaseProvider.Sqlite);
        var client = await host.AddClient();
        (await host.Call("GET", path.Replace("{client}", client.Id.Value, StringComparison.Ordinal))).Status.ShouldBe(
            400
        );
    }
}
