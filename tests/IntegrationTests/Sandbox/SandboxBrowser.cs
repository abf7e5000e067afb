using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace CancelService.IntegrationTests.Sandbox;

/// <summary>A developer's browser on a sandbox: keeps its cookies, and sends forms with their tokens.</summary>
internal sealed partial class SandboxBrowser(TestHost host) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = host.Internal.BaseAddress };
    private string? _token;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Loads a page below <c>/sandbox</c>.</summary>
    public async Task<string> Get(string page, HttpStatusCode status = HttpStatusCode.OK)
    {
        using var answer = await _http.GetAsync(Address(page), Token);
        answer.StatusCode.ShouldBe(status);
        return await Text(answer);
    }

    /// <summary>Sends a form of a page below <c>/sandbox</c>; of a field that is given twice, the last one counts.</summary>
    public async Task<string> Post(string form, params (string Name, string Value)[] fields) =>
        await Post(form, HttpStatusCode.OK, fields);

    /// <summary>Sends a form that is answered with a given status.</summary>
    public async Task<string> Post(string form, HttpStatusCode status, params (string Name, string Value)[] fields)
    {
        using var answer = await Send(form, fields);
        answer.StatusCode.ShouldBe(status);
        return await Text(answer);
    }

    /// <summary>Sends a form; the caller judges the answer.</summary>
    public async Task<HttpResponseMessage> Send(string form, params (string Name, string Value)[] fields)
    {
        _token ??= Field().Match(await _http.GetStringAsync(Address("core"), Token)).Groups["value"].Value;
        using var content = new FormUrlEncodedContent(
            fields
                .Append((Name: "__RequestVerificationToken", Value: _token))
                .GroupBy(field => field.Name, StringComparer.Ordinal)
                .Select(group => KeyValuePair.Create(group.Key, group.Last().Value))
        );
        using var request = new HttpRequestMessage(HttpMethod.Post, Address(form)) { Content = content };
        request.Headers.Add("Sec-Fetch-Site", "same-origin");
        request.Headers.ExpectContinue = true; // A refusal may come before the body.
        return await _http.SendAsync(request, Token);
    }

    /// <summary>Cancels as the page does; returns the code of the answer, or <c>503</c>.</summary>
    public async Task<string> Cancel(string id)
    {
        var page = await Post("cancel", ("id", id), ("extendInfo", ""), ("mistake", ""));
        return page.Contains("HTTP/1.1 503", StringComparison.Ordinal)
            ? "503"
            : page.Split("&quot;resultCode&quot;:&quot;")[1].Split("&quot;")[0];
    }

    public void Dispose() => _http.Dispose();

    private static Uri Address(string page) => new($"/sandbox/{page}", UriKind.Relative);

    // Without blanks between elements, and readable but for the characters that could end an element or an attribute.
    private static async Task<string> Text(HttpResponseMessage answer) =>
        Entity()
            .Replace(
                Blanks().Replace(await answer.Content.ReadAsStringAsync(Token), "><"),
                match =>
                    match.Groups["code"].Value is var code && code == "27"
                        ? "&#39;"
                        : char.ConvertFromUtf32(
                            int.Parse(code, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
                        )
            );

    [GeneratedRegex(
        "__RequestVerificationToken\" value=\"(?<value>[^\"]+)\"",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Field();

    [GeneratedRegex(">\\s+<", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Blanks();

    [GeneratedRegex("&#x(?<code>[0-9A-F]+);", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Entity();
}
