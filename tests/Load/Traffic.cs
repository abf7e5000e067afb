using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using CancelService.Domain.Clients;
using CancelService.Harness;

namespace CancelService.Load;

/// <summary>A signed request in its wire format.</summary>
/// <param name="Bytes">The whole HTTP request.</param>
/// <param name="ClientId">The id of the client that signed the request.</param>
/// <param name="Path">The path of the operation.</param>
internal sealed record SignedRequest(byte[] Bytes, string ClientId, string Path)
{
    /// <summary>The path of a cancel.</summary>
    public const string Cancel = "/v2/payments/cancel";

    /// <summary>The path of an inquiry.</summary>
    public const string Inquiry = "/v2/payments/inquiryPayment";

    /// <summary>Signs requests about the given payments on all cores.</summary>
    public static SignedRequest[] Many(
        KeyPair key,
        long first,
        int count,
        Func<long, (string Client, string Payment)> which,
        bool forged = false,
        string path = Cancel
    )
    {
        var requests = new SignedRequest[count];
        var time = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture);
        Parallel.ForEach(
            Partitioner.Create(0, count),
            range =>
            {
                using var signer = key.Signer();
                for (var i = range.Item1; i < range.Item2; i++)
                {
                    var (client, payment) = which(first + i);
                    requests[i] = new SignedRequest(Compose(signer, path, client, payment, time, forged), client, path);
                }
            }
        );
        return requests;
    }

    /// <summary>Returns true when the answer to this request has a valid signature of the wallet.</summary>
    public bool IsAnsweredBy(PublicKey wallet, string head, ReadOnlySpan<byte> body)
    {
        var time = Header(head, "response-time: ");
        var signature = Header(head, "signature: ");
        var encoded = signature[(signature.IndexOf("signature=", StringComparison.Ordinal) + "signature=".Length)..];
        var signed = StringToSign.Of("POST", Path, ClientId, time, body);
        return wallet.Verifies(SHA256.HashData(signed), Convert.FromBase64String(Uri.UnescapeDataString(encoded)));
    }

    private static string Header(string head, string name)
    {
        var start = head.IndexOf($"\n{name}", StringComparison.Ordinal) + 1 + name.Length;
        return head[start..head.IndexOf('\r', start)];
    }

    private static byte[] Compose(RSA signer, string path, string client, string payment, string time, bool forged)
    {
        var body = $$"""{"paymentId":"{{payment}}"}""";
        var text = StringToSign.Of("POST", path, client, time, body);
        var signature = signer.SignData(text, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        if (forged)
            signature[7] ^= 1;
        return Encoding.ASCII.GetBytes(
            $"POST {path} HTTP/1.1\r\nHost: wallet\r\nClient-Id: {client}\r\nRequest-Time: {time}\r\n"
                + $"Signature: algorithm=RSA256, keyVersion=1, signature={Uri.EscapeDataString(Convert.ToBase64String(signature))}\r\n"
                + $"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {body.Length}\r\n\r\n{body}"
        );
    }
}

/// <summary>
/// The result of a phase of traffic. <c>Unknown</c> counts the errors that are answers of unknown outcome (U).
/// Latencies are in milliseconds. The latency of a rejection starts at the send, because it shows how fast the service
/// rejects.
/// </summary>
internal sealed record Measured(
    int Requests,
    int Errors,
    int Unknown,
    double PerSecond,
    double P50,
    double P99,
    double P999,
    double TurnedAwayShare,
    double TurnedAwayP99
);

/// <summary>Sends requests on keep-alive connections, one thread each, and checks every answer.</summary>
internal static partial class Traffic
{
    private const int SignatureSample = 200;

    /// <summary>
    /// Runs a closed loop: each connection sends its next request after the answer to the last one. The loop ends when
    /// the time is up or the requests run out.
    /// </summary>
    public static Measured Closed(
        IReadOnlyList<ServiceProcess> instances,
        SignedRequest[] requests,
        int connections,
        TimeSpan time,
        string code,
        PublicKey wallet,
        bool repeat = false
    ) => Run(instances, requests, connections, time, code, wallet, rate: null, repeat);

    /// <summary>
    /// Runs an open loop: requests are due at a fixed rate, independent of answers. The latency starts when a request
    /// is due, so that it includes the wait for a free connection (no coordinated omission).
    /// </summary>
    public static Measured Open(
        IReadOnlyList<ServiceProcess> instances,
        SignedRequest[] requests,
        int connections,
        double rate,
        string code,
        PublicKey wallet,
        TimeSpan? repeatFor = null
    ) =>
        Run(
            instances,
            requests,
            connections,
            repeatFor ?? TimeSpan.MaxValue,
            code,
            wallet,
            rate,
            repeatFor is not null
        );

    /// <summary>
    /// Sends a request every 20 ms, each on a connection of its own. Returns the time of the first S for a request that
    /// was sent after a kill (a timestamp).
    /// </summary>
    /// <exception cref="TimeoutException">No request got an S within 30 s.</exception>
    public static async Task<long> FirstSuccess(
        ServiceProcess instance,
        IEnumerable<SignedRequest> requests,
        Func<long> killedAt,
        Task failingOver
    )
    {
        var first = new TaskCompletionSource<long>();
        var before = killedAt();
        foreach (var request in requests)
        {
            _ = Probe(request);
            if (await Task.WhenAny(first.Task, Task.Delay(20)) == first.Task)
                break;
            if (failingOver.IsFaulted)
                await failingOver;
        }
        return await first.Task.WaitAsync(TimeSpan.FromSeconds(30));

        async Task Probe(SignedRequest request)
        {
            var sent = Stopwatch.GetTimestamp();
            try
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Loopback, instance.PublicPort);
                await socket.SendAsync(request.Bytes);
                var buffer = new byte[16 * 1024];
                var answer = Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer));
                if (
                    answer.Contains("\"SUCCESS\"", StringComparison.Ordinal)
                    && killedAt() is var at
                    && at != before
                    && sent > at
                )
                    first.TrySetResult(Stopwatch.GetTimestamp());
            }
            catch (SocketException)
            {
                // The request was rejected or got no answer; the next one follows.
            }
        }
    }

    private static Measured Run(
        IReadOnlyList<ServiceProcess> instances,
        SignedRequest[] requests,
        int connections,
        TimeSpan time,
        string code,
        PublicKey wallet,
        double? rate,
        bool repeat
    )
    {
        var marker = Encoding.ASCII.GetBytes($"\"resultCode\":\"{code}\"");
        var next = -1;
        var (errors, unknown, turnedAway) = (0, 0, 0);
        var firstError = "";
        var latencies = new List<double>[connections];
        var refusals = new ConcurrentBag<double>();
        using var ready = new Barrier(connections + 1);
        long start = 0;
        var threads = Enumerable
            .Range(0, connections)
            .Select(c => new Thread(() => Converse(c), maxStackSize: 256 * 1024) { IsBackground = true })
            .ToList();
        threads.ForEach(thread => thread.Start());
        start = Stopwatch.GetTimestamp();
        ready.SignalAndWait();
        threads.ForEach(thread => thread.Join());
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

        if (errors > 0)
            Console.Error.WriteLine($"{errors} answers differ from the expected {code}; the first: {firstError}");
        var all = latencies.SelectMany(l => l).Order().ToArray();
        return new Measured(
            all.Length,
            errors,
            unknown,
            all.Length / seconds,
            Percentile(all, 0.5),
            Percentile(all, 0.99),
            Percentile(all, 0.999),
            (double)turnedAway / Math.Max(all.Length, 1),
            Percentile([.. refusals.Order()], 0.99)
        );

        void Converse(int connection)
        {
            var mine = latencies[connection] = new List<double>(requests.Length / connections * 2);
            var port = instances[connection % instances.Count].PublicPort;
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            {
                NoDelay = true,
                ReceiveTimeout = 30_000,
            };
            socket.Connect(IPAddress.Loopback, port);
            var buffer = new byte[16 * 1024];
            ready.SignalAndWait();
            while (true)
            {
                var i = Interlocked.Increment(ref next);
                if (i >= requests.Length && !repeat)
                    return;
                var request = requests[i % requests.Length];
                var due = rate is { } r ? start + (long)(i / r * Stopwatch.Frequency) : Stopwatch.GetTimestamp();
                if (Stopwatch.GetElapsedTime(start, due) > time)
                    return;
                var wait = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due);
                if (wait > TimeSpan.Zero)
                    _ = Sleep((uint)wait.TotalMicroseconds);
                var sent = Stopwatch.GetTimestamp();
                socket.Send(request.Bytes);
                var (head, end) = Receive(socket, buffer);
                mine.Add(Stopwatch.GetElapsedTime(due).TotalMilliseconds);

                var body = buffer.AsSpan(head, end - head);
                if (buffer.AsSpan(0, head).StartsWith("HTTP/1.1 503"u8))
                {
                    Interlocked.Increment(ref turnedAway);
                    refusals.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
                    if (buffer.AsSpan(0, head).IndexOf("Retry-After: "u8) < 0)
                        Interlocked.Increment(ref errors);
                }
                else if (
                    body.IndexOf(marker) < 0
                    || (
                        i % SignatureSample == 0
                        && !request.IsAnsweredBy(wallet, Encoding.ASCII.GetString(buffer, 0, head), body)
                    )
                )
                {
                    if (body.IndexOf("\"resultCode\":\"UNKNOWN_EXCEPTION\""u8) >= 0)
                        Interlocked.Increment(ref unknown);
                    if (Interlocked.Increment(ref errors) == 1)
                        firstError = Encoding.UTF8.GetString(buffer, 0, end);
                }
            }
        }
    }

    // Returns the offsets at which the answer's head and its body end.
    private static (int Head, int End) Receive(Socket socket, byte[] buffer)
    {
        var received = 0;
        int head;
        do
        {
            var read = socket.Receive(buffer, received, buffer.Length - received, SocketFlags.None);
            if (read == 0)
                throw new EndOfStreamException("The service closed the connection.");
            received += read;
            head = buffer.AsSpan(0, received).IndexOf("\r\n\r\n"u8) + 4;
        } while (head == 3);

        var name = "Content-Length: "u8;
        var at = buffer.AsSpan(0, head).IndexOf(name) + name.Length;
        var length = 0;
        for (; buffer[at] != '\r'; at++)
            length = length * 10 + buffer[at] - '0';
        while (received < head + length)
        {
            var read = socket.Receive(buffer, received, buffer.Length - received, SocketFlags.None);
            if (read == 0)
                throw new EndOfStreamException("The service closed the connection.");
            received += read;
        }
        return (head, received);
    }

    private static double Percentile(double[] sorted, double share) =>
        sorted.Length == 0 ? double.NaN : sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];

    // Thread.Sleep rounds up to milliseconds, which is more than most latencies.
    [LibraryImport("libc", EntryPoint = "usleep")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Sleep(uint microseconds);
}
