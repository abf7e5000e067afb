using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace CancelService.IntegrationTests;

/// <summary>
/// The fuzzer's connection: sends any bytes, and takes nothing but well-formed HTTP/1.1 answers. It is kept as long as
/// the server keeps it.
/// </summary>
internal sealed partial class FuzzWire : IDisposable
{
    // How long the server may be silent when an answer, or the connection's end, is due.
    private readonly TimeSpan _hang;

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private byte[] _buffer = new byte[16 * 1024];
    private int _filled;
    private bool _ended;
    private Task _sending = Task.CompletedTask;

    public FuzzWire(TimeSpan hang)
    {
        _hang = hang;
        _socket.NoDelay = true;
        _socket.LingerState = new LingerOption(true, 0); // Leaves no port waiting.
    }

    public Task Connect(int port) => _socket.ConnectAsync(IPAddress.Loopback, port);

    /// <summary>Begins to send; the server may answer, or hang up, before it has read all.</summary>
    public void Send(byte[] bytes) => _sending = Sending(_sending, bytes);

    /// <summary>Says that no more will come.</summary>
    public void EndSending()
    {
        try
        {
            if (_sending.IsCompleted)
                _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The server was first.
        }
    }

    /// <summary>The next answer; null when the connection has ended, or when there is nothing within the time.</summary>
    /// <exception cref="TimeoutException">The server is silent for longer than is right.</exception>
    /// <exception cref="InvalidDataException">What came is no answer of HTTP/1.1.</exception>
    public async Task<Answer?> Receive(string method, TimeSpan? patience = null)
    {
        while (true)
        {
            int end;
            while ((end = _buffer.AsSpan(0, _filled).IndexOf("\r\n\r\n"u8)) < 0)
            {
                if (_ended)
                    return _filled == 0 ? null : throw new InvalidDataException("Half an answer came.");
                if (!await More(_filled == 0 ? patience : null))
                    return null;
            }
            var lines = Encoding.Latin1.GetString(_buffer, 0, end).Split("\r\n");
            if (StatusLine().Match(lines[0]) is not { Success: true } line || !lines.Skip(1).All(IsHeader))
                throw new InvalidDataException($"The head of the answer is malformed: {string.Join('|', lines)}");
            var status = int.Parse(line.Groups["status"].Value, CultureInfo.InvariantCulture);
            if (status == 100)
            {
                Take(end + 4);
                continue;
            }
            var headers = lines[1..].Select(h => h.Split(": ", 2)).Select(h => (Name: h[0], Value: h[1])).ToList();
            if (headers.Select(h => h.Name.ToUpperInvariant()).Distinct(StringComparer.Ordinal).Count() < headers.Count)
                throw new InvalidDataException($"A header of the answer is doubled: {string.Join('|', lines)}");
            var length = headers.FirstOrDefault(h => h.Name == "Content-Length").Value;
            if (!int.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var size))
                throw new InvalidDataException($"The answer has no length: {string.Join('|', lines)}");
            size = method == "HEAD" ? 0 : size;
            while (_filled < end + 4 + size)
            {
                if (_ended)
                    throw new InvalidDataException("Half a body came.");
                await More(null);
            }
            var body = _buffer[(end + 4)..(end + 4 + size)];
            Take(end + 4 + size);
            return new Answer(status, headers, body);
        }
    }

    /// <summary>Waits for the connection's end, whatever comes before it: to who speaks no HTTP/1.1, none is spoken.</summary>
    public async Task Drain()
    {
        for (; !_ended; _filled = 0)
            await More(null);
    }

    public void Dispose() => _socket.Dispose();

    private static bool IsHeader(string line) => HeaderLine().IsMatch(line);

    private async Task Sending(Task before, byte[] bytes)
    {
        try
        {
            await before;
            for (var sent = 0; sent < bytes.Length; )
                sent += await _socket.SendAsync(bytes.AsMemory(sent));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The server has hung up.
        }
    }

    private async Task<bool> More(TimeSpan? patience)
    {
        if (_filled == _buffer.Length)
            Array.Resize(ref _buffer, _filled * 2);
        using var timeout = new CancellationTokenSource(patience ?? _hang);
        try
        {
            var read = await _socket.ReceiveAsync(_buffer.AsMemory(_filled), timeout.Token);
            _ended = read == 0;
            _filled += read;
        }
        catch (SocketException)
        {
            _ended = true;
        }
        catch (OperationCanceledException e)
        {
            return patience is not null ? false : throw new TimeoutException($"No answer within {_hang}: it hangs.", e);
        }
        return true;
    }

    private void Take(int count)
    {
        _filled -= count;
        Buffer.BlockCopy(_buffer, count, _buffer, 0, _filled);
    }

    [GeneratedRegex(
        @"\AHTTP/1\.1 (?<status>[1-5][0-9]{2}) [ -~]*\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex StatusLine();

    [GeneratedRegex(
        @"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+: [ -~]*\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex HeaderLine();
}
