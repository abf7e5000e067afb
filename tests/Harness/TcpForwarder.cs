using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;

namespace CancelService.Harness;

/// <summary>A fault that a forwarder injects into the connection with the awaited bytes.</summary>
public enum Fault
{
    /// <summary>The connection breaks, and the bytes are lost.</summary>
    CutBefore,

    /// <summary>The connection breaks after the data in front of the bytes; the rest is lost.</summary>
    CutWithin,

    /// <summary>The bytes arrive, and the connection breaks once the server has executed them.</summary>
    CutAfter,

    /// <summary>The bytes are lost, but the connection stays open.</summary>
    StallBefore,

    /// <summary>The bytes arrive and their answer is lost, but the connection stays open.</summary>
    StallAfter,

    /// <summary>The bytes arrive only after <see cref="TcpForwarder.LetGo"/>.</summary>
    Delay,
}

/// <summary>A TCP proxy between the service and PostgreSQL that injects network faults.</summary>
public sealed class TcpForwarder : IAsyncDisposable
{
    // PostgreSQL's message ReadyForQuery outside of a transaction: the server has executed the query.
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

    /// <summary>Listens on a port (0: any free port) and forwards to the server of a connection string.</summary>
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

    /// <summary>The number of round trips so far.</summary>
    public int RoundTrips => _roundTrips;

    /// <summary>The number of executed statements so far.</summary>
    public int Statements => _statements;

    /// <summary>Finds a port that refuses connections.</summary>
    public static int ClosedPort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Returns the setting that connects the service through a forwarder on a port.</summary>
    public static string Setting(string target, int port) =>
        "--Database:ConnectionString="
        + new NpgsqlConnectionStringBuilder(target)
        {
            Host = "127.0.0.1",
            Port = port,
            SslMode = SslMode.Disable,
        }.ConnectionString;

    /// <summary>Ends the silence for new connections; earlier connections stay unanswered.</summary>
    public void Speak() => _silent = false;

    /// <summary>Stops forwarding; connections stay open but unanswered.</summary>
    public void FallSilent() => _silent = true;

    /// <summary>Breaks every connection, as a restarting server does.</summary>
    public void CutAll()
    {
        foreach (var socket in _sockets)
            socket.Dispose();
    }

    /// <summary>Injects a fault into the connection on which the service next sends a text.</summary>
    public void Arm(string text, Fault fault) => _armed = (Encoding.ASCII.GetBytes(text), fault);

    /// <summary>Completes when <see cref="Fault.Delay"/> holds bytes back.</summary>
    public Task Delayed => _delayed.Task;

    /// <summary>Forwards the delayed bytes.</summary>
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
                return; // The forwarder was disposed.
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
                await up; // Keep the connection open until the service closes it.
        }
        catch (SocketException)
        {
            // The server is down; close the client side too.
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
