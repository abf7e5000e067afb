#:sdk Microsoft.NET.Sdk.Web
// A receiver of notifications, for the walk: keeps what it is sent, and shows it. A real one verifies the signature.
//   dotnet run docs/examples/receiver.cs PORT
using System.Collections.Concurrent;
using System.Text.Json;

var events = new ConcurrentDictionary<string, string>();
var builder = WebApplication.CreateSlimBuilder();
builder.WebHost.UseUrls($"http://127.0.0.1:{args[0]}");
var app = builder.Build();
app.MapGet("/", () => "waiting for events");
app.MapPost(
    "/events",
    async (HttpRequest request) =>
    {
        using var body = await JsonDocument.ParseAsync(request.Body);
        events[body.RootElement.GetProperty("paymentId").GetString()!] = body.RootElement.GetRawText();
    }
);
app.MapGet(
    "/events/{paymentId}",
    (string paymentId) => events.TryGetValue(paymentId, out var body) ? Results.Text(body) : Results.NotFound()
);
app.Run();
