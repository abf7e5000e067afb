#:sdk Microsoft.NET.Sdk.Web
#:package StandardWebhooks@1.1.2
#:property ManagePackageVersionsCentrally=false
// walk.sh's receiver: verifies, keeps and shows events.
//   WEBHOOK_SECRET=whsec_... dotnet run docs/examples/receiver.cs PORT
using System.Collections.Concurrent;
using System.Text.Json;
using StandardWebhooks;

var events = new ConcurrentDictionary<string, string>();
var webhook = new StandardWebhook(Environment.GetEnvironmentVariable("WEBHOOK_SECRET")!);
var builder = WebApplication.CreateSlimBuilder();
builder.WebHost.UseUrls($"http://127.0.0.1:{args[0]}");
var app = builder.Build();
app.MapGet("/", () => "waiting for events");
app.MapPost(
    "/events",
    async (HttpRequest request) =>
    {
        using var reader = new StreamReader(request.Body);
        var text = await reader.ReadToEndAsync();
        webhook.Verify(text, request.Headers); // Throws, so a forged event never gets 2xx.
        using var body = JsonDocument.Parse(text);
        events[body.RootElement.GetProperty("paymentId").GetString()!] = text;
    }
);
app.MapGet(
    "/events/{paymentId}",
    (string paymentId) => events.TryGetValue(paymentId, out var body) ? Results.Text(body) : Results.NotFound()
);
app.Run();
