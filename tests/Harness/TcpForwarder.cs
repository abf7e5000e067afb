using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;

namespace CancelService.Harness;

/// <summary>How a forwarder treats the connection on which it sees the awaited bytes.</summary>
public enum Fault
{
    /// <summary>The bytes get lost, and the connection with them.</summary>
    CutBefore,

    /// <summary>What stands before the bytes arrives, the rest gets lost, and the connection with it.</summary>
    CutWithin,

    /// <summary>The bytes arrive, and the connection breaks when the server has carried out what they say.</summary>
    CutAfter,

    /// <summary>The bytes get lost, and nobody is told.</summary>
    StallBefore,

    /// <summary>The bytes arrive, the answer gets lost, and nobody is told.</summary>
    StallAfter,

    /// <summary>The bytes arrive late: when they are let go.</summary>
    Delay,
}

/// <summary>The network between the service and its PostgreSQL, with its faults.</summary>
public sealed class TcpForwarder : IAsyncDisposable
{
    // PostgreSQL's message ReadyForQuery, outside of a transaction: what was asked for is done.
    private static readonly byte[] Ready = [(byte)'Z', 0, 0, 0, 5, (byte)'I'];

    private readonly NpgsqlConnectionStringBuilder _target;
    private readonly TcpListener _listener;
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly Task _accepting;
    private volatile bool _silent;
    private (byte[] Marker, Fault Fault)? _armed;
    private readonly TaskCompletionSource _delayed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _letGo = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _roundTrips;
    private int _statements;

    /// <summary>Listens on a port (0: a free one), and forwards to the server of a connection string.</summary>
    public TcpForwarder(string target, int port = 0, bool silent = false)
    {
        _target = new NpgsqlConnectionStringBuilder(target);
        _silent = silent;
        _listener = new TcpListener(IPAddress.Loopback, port);
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = Accept();
    }

    public int Port { get; }

    /// <summary>How often the service has waited for an answer of the server so far.</summary>
    public int RoundTrips => _roundTrips;

    /// <summary>How many statements the service has had executed so far.</summary>
    public int Statements => _statements;

    /// <summary>A port that nobody listens on.</summary>
    public static int ClosedPort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The setting that leads the service through a forwarder at a port.</summary>
    public static string Setting(string target, int port) =>
        "--Database:ConnectionString="
        + new NpgsqlConnectionStringBuilder(target)
        {
            Host = "127.0.0.1",
            Port = port,
            SslMode = SslMode.Disable,
        }.ConnectionString;

    /// <summary>From now on new connections are forwarded. Those that came before stay unanswered.</summary>
    public void Speak() => _silent = false;

    /// <summary>From now on nothing is forwarded any more, and nobody is told: connections stay open and unanswered.</summary>
    public void FallSilent() => _silent = true;

    /// <summary>Breaks every connection, as a server that restarts does.</summary>
    public void CutAll()
    {
        foreach (var socket in _sockets)
            socket.Dispose();
    }

    /// <summary>The next time that the service sends a text, a fault happens to that connection.</summary>
    public void Arm(string text, Fault fault) => _armed = (Encoding.ASCII.GetBytes(text), fault);

    /// <summary>Ends when bytes are under way that <see cref="Fault.Delay"/> has delayed.</summary>
    public Task Delayed => _delayed.Task;

    /// <summary>Lets delayed bytes arrive.</summary>
    public void LetGo() => _letGo.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        _letGo.TrySetResult();
        _listener.Stop();
        CutAll();
        await _accepting;
    }

    private async Task Accept()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync();
            }
            catch (SocketException)
            {
                return; // Stopped.
            }
            _sockets.Add(client);
            if (!_silent)
                _ = Forward(client);
        }
    }

    private async Task Forward(Socket client)
    {
        var path = $"{_target.Host}/.s.PGSQL.{_target.Port}";
        EndPoint address = _target.Host!.StartsWith('/')
            ? new UnixDomainSocketEndPoint(path)
            : new DnsEndPoint(_target.Host, _target.Port);
        var server =
            address is UnixDomainSocketEndPoint
                ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
                : new Socket(SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(server);
        Fault? fault = null;
        try
        {
            await server.ConnectAsync(address);
            var up = Up();
            await Task.WhenAny(up, Down());
            if (fault is Fault.StallBefore or Fault.StallAfter)
                await up; // Until the service gives the connection up.
        }
        catch (SocketException)
        {
            // The server is away, and so is the connection.
        }
        client.Dispose();
        server.Dispose();

        async Task Up()
        {
            var messages = new FrontendMessages(
                () => Interlocked.Increment(ref _roundTrips),
                () => Interlocked.Increment(ref _statements)
            );
            var buffer = new byte[64 * 1024];
            int read;
            while ((read = await Receive(client, buffer)) > 0)
            {
                messages.Read(buffer.AsSpan(0, read));
                if (_armed is { } armed && buffer.AsSpan(0, read).IndexOf(armed.Marker) is >= 0 and var at)
                {
                    (_armed, fault) = (null, armed.Fault);
                    if (fault is Fault.Delay)
                    {
                        _delayed.TrySetResult();
                        await _letGo.Task;
                        fault = null;
                    }
                    if (fault is Fault.CutWithin)
                        await server.SendAsync(buffer.AsMemory(0, at));
                    if (fault is Fault.CutBefore or Fault.CutWithin)
                        return;
                }
                if (fault is not Fault.StallBefore && !_silent)
                    await server.SendAsync(buffer.AsMemory(0, read));
            }
        }

        async Task Down()
        {
            var buffer = new byte[64 * 1024];
            int read;
            while ((read = await Receive(server, buffer)) > 0)
            {
                if (fault is null && !_silent)
                    await client.SendAsync(buffer.AsMemory(0, read));
                else if (fault is not null && buffer.AsSpan(0, read).IndexOf(Ready) >= 0)
                    return;
            }
        }
    }

    private static async Task<int> Receive(Socket socket, byte[] buffer)
    {
        try
        {
            return await socket.ReceiveAsync(buffer);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return 0;
        }
    }
}
