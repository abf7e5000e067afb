using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using CancelService.OperatorConsole;
using Microsoft.Extensions.DependencyInjection;

namespace CancelService.IntegrationTests.Ops;

/// <summary>A page as the browser received it.</summary>
internal sealed record OpsAnswer(int Status, string Text, HttpResponseHeaders Headers);

/// <summary>
/// A browser without script: it keeps cookies, follows redirects, and sends forms with their token and the headers that
/// a browser sends to a loopback address.
/// </summary>
internal sealed partial class OpsBrowser(TestHost host) : IDisposable
{
    private readonly HttpClient _http = new(new HttpClientHandler { AllowAutoRedirect = false, UseCookies = false });
    private Uri _address = new($"http://127.0.0.1:{host.InternalPort}");

    /// <summary>Cookies by name.</summary>
    public Dictionary<string, string> Cookies { get; } = new(StringComparer.Ordinal);

    /// <summary>Every Set-Cookie header so far.</summary>
    public List<string> SetCookies { get; } = [];

    /// <summary>Headers of every request; an empty value removes a header that browsers send.</summary>
    public Dictionary<string, string> Headers { get; } = new(StringComparer.Ordinal);

    public static async Task<OpsBrowser> SignedIn(TestHost host, bool mayRequeue = true)
    {
        var browser = new OpsBrowser(host);
        (await browser.SignIn(await Link(host, mayRequeue))).Text.ShouldContain("Signed in as ops-link:alice");
        return browser;
    }

    public static Task<string> Link(TestHost host, bool mayRequeue = true, TimeSpan? validity = null) =>
        host
            .Services.GetRequiredService<OpsLinks>()
            .Make("alice", mayRequeue, validity ?? OpsLinks.Validity, TestContext.Current.CancellationToken);

    /// <summary>Goes on with another instance behind the same address.</summary>
    public void MoveTo(TestHost other) => _address = new Uri($"http://127.0.0.1:{other.InternalPort}");

    public Task<OpsAnswer> SignIn(string link) => Post("/ops/sign-in", ("link", link));

    public Task<OpsAnswer> Get(string path) => Send(HttpMethod.Get, path, null);

    public async Task<OpsAnswer> Post(string path, params (string Name, string Value)[] fields) =>
        await PostWithoutToken(path, [.. fields, ("__RequestVerificationToken", await Token(path))]);

    public Task<OpsAnswer> PostWithoutToken(string path, params (string Name, string Value)[] fields) =>
        Send(
            HttpMethod.Post,
            path,
            () => new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Name, field.Value)))
        );

    public Task<OpsAnswer> PostRaw(string path, Func<HttpContent> content) => Send(HttpMethod.Post, path, content);

    /// <summary>The token of a form that is posted to a path.</summary>
    public async Task<string> Token(string path)
    {
        var page = await Get(path == "/ops/sign-in" ? "/ops/sign-in?link=none" : "/ops/changes");
        return TokenField().Match(page.Text).Groups["value"].Value;
    }

    public void Dispose() => _http.Dispose();

    private async Task<OpsAnswer> Send(HttpMethod method, string path, Func<HttpContent>? content)
    {
        var address = new Uri(_address, path);
        for (var redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(method, address) { Content = content?.Invoke() };
            if (Cookies.Count > 0)
                request.Headers.Add(
                    "Cookie",
                    string.Join("; ", Cookies.Select(cookie => $"{cookie.Key}={cookie.Value}"))
                );
            if (method == HttpMethod.Post && !Headers.ContainsKey("Sec-Fetch-Site"))
                request.Headers.Add("Sec-Fetch-Site", "same-origin");
            foreach (var (name, value) in Headers.Where(header => header.Value.Length > 0))
                request.Headers.TryAddWithoutValidation(name, value);
            using var answer = await _http.SendAsync(request, TestContext.Current.CancellationToken);
            Keep(answer.Headers);
            if (answer.StatusCode is HttpStatusCode.Redirect && redirects < 10)
            {
                address = new Uri(address, answer.Headers.Location!);
                // A redirect names the host of the request, which a test may have made up.
                if (Headers.ContainsKey("Host") || Headers.ContainsKey("X-Forwarded-Host"))
                    address = new Uri(_address, address.PathAndQuery);
                (method, content) = (HttpMethod.Get, null);
                continue;
            }
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            return new((int)answer.StatusCode, text, answer.Headers);
        }
    }

    private void Keep(HttpResponseHeaders headers)
    {
        if (!headers.TryGetValues("Set-Cookie", out var cookies))
            return;
        SetCookies.AddRange(cookies);
        foreach (var pair in cookies.Select(cookie => cookie.Split(';')[0].Split('=', 2)))
        {
            if (pair[1].Length > 0)
                Cookies[pair[0]] = pair[1];
            else
                Cookies.Remove(pair[0]);
        }
    }

    [GeneratedRegex("__RequestVerificationToken\" value=\"(?<value>[^\"]+)\"", RegexOptions.None, 1000)]
    private static partial Regex TokenField();
}
