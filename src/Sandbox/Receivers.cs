using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace CancelService.Sandbox;

/// <summary>
/// Posts to receivers of events on listed hosts alone (<c>Sandbox:ReceiverHosts</c>), so that nobody reaches other
/// hosts through the sandbox. It follows no redirect, uses no proxy, and reads no body.
/// </summary>
internal sealed class Receivers : IDisposable
{
    /// <summary>The longest wait for an answer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly IReadOnlyList<string> _hosts;
    private readonly HttpClient _http;

    public Receivers(IOptions<SandboxOptions> options)
    {
        _hosts = options.Value.Receivers;
        _http = new HttpClient(
            new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                UseProxy = false,
                UseCookies = false,
                ConnectTimeout = Patience,
                MaxResponseHeadersLength = 16, // KiB
                MaxResponseDrainSize = 0,
                PooledConnectionLifetime = TimeSpan.FromMinutes(1),
                ConnectCallback = Connect,
            }
        )
        {
            Timeout = Patience,
        };
    }

    /// <summary>Says why a host is refused; null when it is listed.</summary>
    public string? Problem(Uri address) =>
        IsListed(address.IdnHost)
            ? null
            : $"The host {address.IdnHost} is not in Sandbox:ReceiverHosts, which lists {string.Join(", ", _hosts)}. "
                + "Add it there to send events to it.";

    /// <summary>Posts a request; the answer's body is left unread.</summary>
    /// <exception cref="HttpRequestException">No answer, or a host that is not listed.</exception>
    public Task<HttpResponseMessage> Post(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    public void Dispose() => _http.Dispose();

    // Connects to the checked address, whatever the name resolves to a moment later.
    private async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var allowed = IsListed(host)
            ? (await Dns.GetHostAddressesAsync(host, cancellationToken)).Where(IsAllowed).ToArray()
            : [];
        if (allowed.Length == 0)
            throw new HttpRequestException(
                HttpRequestError.ConnectionError,
                $"Sandbox:ReceiverHosts does not allow the addresses of {host}."
            );
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private bool IsListed(string host) =>
        _hosts.Any(listed => Bare(listed).Equals(Bare(host), StringComparison.OrdinalIgnoreCase));

    // A listed name must not lead to this machine, to a cloud's metadata or to many hosts at once: such an address has
    // to be listed itself.
    private bool IsAllowed(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        if (_hosts.Any(listed => IPAddress.TryParse(Bare(listed), out var own) && own.Equals(address)))
            return true;
        var bytes = address.GetAddressBytes();
        return !IPAddress.IsLoopback(address)
            && !address.Equals(IPAddress.Any)
            && !address.Equals(IPAddress.IPv6Any)
            && !address.IsIPv6LinkLocal
            && !address.IsIPv6Multicast
            && !(bytes is [169, 254, _, _] or [0 or 127 or >= 224, _, _, _]);
    }

    private static string Bare(string host) => host.Trim('[', ']');
}
