namespace CancelService.Api.Exchange;

/// <summary>
/// The section <c>Limits</c> of the settings: what unverified requests and greedy clients can cost an instance. A request over a limit
/// gets a plain 503 at once, which costs next to nothing; a merchant repeats it. Connections over their limit are
/// closed, and slow headers and slow bodies get 408.
/// </summary>
public sealed class LimitsOptions
{
    /// <summary>The most connections of each port: 10 to 1,000,000. Further ones are closed.</summary>
    public int MaxConnections { get; set; } = 10_000;

    /// <summary>How long a client may take to send the headers of a request: 1 second to 5 minutes.</summary>
    public TimeSpan HeadersTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a connection may be idle: 1 second to 1 hour.</summary>
    public TimeSpan KeepAliveTimeout { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>The slowest body, in bytes a second, after 5 seconds of grace: 1 to 65,536.</summary>
    public int MinBodyBytesPerSecond { get; set; } = 240;

    /// <summary>The most requests that are verified and carried out at a time: 1 to 10,000.</summary>
    public int MaxConcurrentRequests { get; set; } = 128;

    /// <summary>The most requests that wait for their turn: 0 to 100,000.</summary>
    public int MaxQueuedRequests { get; set; } = 512;

    /// <summary>
    /// The share of <see cref="MaxConcurrentRequests"/> that one client may take, in percent: 1 to 100. Its further requests
    /// wait in a queue of its own, which is as long as that of all, so a lock on one merchant's account delays that merchant
    /// alone. All look-ups for unverified requests have one such share and queue together.
    /// </summary>
    public int ClientSharePercent { get; set; } = 25;

    /// <summary>
    /// How long a request may wait for its turn: 10 milliseconds to 1 minute. It is shorter than merchants wait for an
    /// answer; otherwise an overloaded instance would only work for clients that have hung up.
    /// </summary>
    public TimeSpan MaxQueueTime { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The most look-ups a second for clients that the instance has not met yet: 1 to 1,000,000. Merchants' first requests
    /// after a start count here, and so do made-up names.
    /// </summary>
    public int UnknownClientsPerSecond { get; set; } = 1000;

    /// <summary>
    /// The most signatures a second for answers to requests that were not verified: 1 to 1,000,000. A signature is the most
    /// expensive work that an unverified request can cause. Fifty a second per processor take at most a twentieth of it.
    /// Refusals with the same signed content share one signature per second, so all but the first are free.
    /// </summary>
    public int UnverifiedAnswersPerSecond { get; set; } = 50 * Environment.ProcessorCount;

    /// <summary>
    /// How many such signatures an instance makes at once after it was idle: 1 to 1,000,000. A developer who tries every
    /// refusal in a row gets them all.
    /// </summary>
    public int UnverifiedAnswersBurst { get; set; } = 300;

    /// <summary>
    /// How long the answer to an unverified request, or to one over its client's rate, is delayed: 0 to 1 second. Nobody
    /// notices 2 ms, and a connection that floods gets at most 500 refusals a second.
    /// </summary>
    public TimeSpan RefusalDelay { get; set; } = TimeSpan.FromMilliseconds(2);

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
    public string? Problem() =>
        MaxConnections is < 10 or > 1_000_000
            ? $"Limits:MaxConnections is {MaxConnections}. Set it between 10 and 1000000."
        : HeadersTimeout < TimeSpan.FromSeconds(1) || HeadersTimeout > TimeSpan.FromMinutes(5)
            ? $"Limits:HeadersTimeout is {HeadersTimeout}. Set it between 00:00:01 and 00:05:00."
        : KeepAliveTimeout < TimeSpan.FromSeconds(1) || KeepAliveTimeout > TimeSpan.FromHours(1)
            ? $"Limits:KeepAliveTimeout is {KeepAliveTimeout}. Set it between 00:00:01 and 01:00:00."
        : MinBodyBytesPerSecond is < 1 or > 65_536
            ? $"Limits:MinBodyBytesPerSecond is {MinBodyBytesPerSecond}. Set it between 1 and 65536."
        : MaxConcurrentRequests is < 1 or > 10_000
            ? $"Limits:MaxConcurrentRequests is {MaxConcurrentRequests}. Set it between 1 and 10000."
        : MaxQueuedRequests is < 0 or > 100_000
            ? $"Limits:MaxQueuedRequests is {MaxQueuedRequests}. Set it between 0 and 100000."
        : ClientSharePercent is < 1 or > 100
            ? $"Limits:ClientSharePercent is {ClientSharePercent}. Set it between 1 and 100."
        : MaxQueueTime < TimeSpan.FromMilliseconds(10) || MaxQueueTime > TimeSpan.FromMinutes(1)
            ? $"Limits:MaxQueueTime is {MaxQueueTime}. Set it between 00:00:00.0100000 and 00:01:00."
        : UnknownClientsPerSecond is < 1 or > 1_000_000
            ? $"Limits:UnknownClientsPerSecond is {UnknownClientsPerSecond}. Set it between 1 and 1000000."
        : UnverifiedAnswersPerSecond is < 1 or > 1_000_000
            ? $"Limits:UnverifiedAnswersPerSecond is {UnverifiedAnswersPerSecond}. Set it between 1 and 1000000."
        : UnverifiedAnswersBurst is < 1 or > 1_000_000
            ? $"Limits:UnverifiedAnswersBurst is {UnverifiedAnswersBurst}. Set it between 1 and 1000000."
        : RefusalDelay < TimeSpan.Zero || RefusalDelay > TimeSpan.FromSeconds(1)
            ? $"Limits:RefusalDelay is {RefusalDelay}. Set it between 00:00:00 and 00:00:01."
        : null;
}
