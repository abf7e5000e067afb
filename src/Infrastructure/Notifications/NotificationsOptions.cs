namespace CancelService.Infrastructure.Notifications;

/// <summary>The section <c>Notifications</c> of the settings: how the core is told about cancellations.</summary>
public sealed class NotificationsOptions
{
    /// <summary>The webhook of the core, absolute, http or https. Null or empty: the relay is off, and the outbox waits.</summary>
    public string? Url { get; set; }

    /// <summary>
    /// The secrets that sign events, each <c>whsec_</c> and the base64 of 24 to 64 random bytes. One, or two during a
    /// rotation. Required with <see cref="Url"/>.
    /// </summary>
    public IList<string> Secrets { get; } = [];

    /// <summary>How long an idle relay waits before it looks for due events again: 10 ms to 1 minute.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long a claimed event belongs to its instance: at least twice <see cref="AttemptTimeout"/>, at most 10 minutes.
    /// What a process that died had claimed waits this long. The instances' clocks should differ by much less.
    /// </summary>
    public TimeSpan ClaimTime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The most events that an instance holds at a time: 1 to 500.</summary>
    public int BatchSize { get; set; } = 50;

    /// <summary>The most requests that an instance has under way at a time: 1 to 100.</summary>
    public int Concurrency { get; set; } = 10;

    /// <summary>How often an event is tried before it is parked: 1 to 100.</summary>
    public int MaxAttempts { get; set; } = 20;

    /// <summary>The bound of the wait after the first failed attempt, which doubles with each further one: 1 ms or more.</summary>
    public TimeSpan BackOffBase { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>What that bound grows to: the base to 1 day.</summary>
    public TimeSpan BackOffMaximum { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long the receiver may take to answer: 100 ms to 1 minute.</summary>
    public TimeSpan AttemptTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a delivered event is kept, for operators to look at: 1 minute to 365 days.</summary>
    public TimeSpan KeepDelivered { get; set; } = TimeSpan.FromDays(7);

    /// <summary>The webhook; null when the relay is off.</summary>
    internal Uri? Webhook => string.IsNullOrWhiteSpace(Url) ? null : new Uri(Url);

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
    public string? Problem() =>
        !string.IsNullOrWhiteSpace(Url) && !IsWebhook(Url)
            ? "Notifications:Url is no absolute http or https URL without user and fragment. Correct it, or leave it out to switch the relay off."
        : Webhook is not null && Secrets.Count == 0
            ? "Notifications:Secrets is missing. With Notifications:Url it has to hold the secret that the receiver verifies "
                + "events with: whsec_ and the base64 of 24 to 64 random bytes. "
                + "echo \"whsec_$(openssl rand -base64 32)\" makes one."
        : Secrets.Count > EventSignature.MaxSecrets
            ? $"Notifications:Secrets holds {Secrets.Count} secrets. Leave one, or two during a rotation."
        : Secrets.Any(secret => !EventSignature.IsSecret(secret))
            ? "Notifications:Secrets holds a text that is no secret. A secret is whsec_ and the base64 of 24 to 64 bytes."
        : Outside(PollInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1))
            ? $"Notifications:PollInterval is {PollInterval}. Set it between 00:00:00.010 and 00:01:00."
        : Outside(AttemptTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1))
            ? $"Notifications:AttemptTimeout is {AttemptTimeout}. Set it between 00:00:00.100 and 00:01:00."
        : Outside(ClaimTime, 2 * AttemptTimeout, TimeSpan.FromMinutes(10))
            ? $"Notifications:ClaimTime is {ClaimTime}. Set it between twice Notifications:AttemptTimeout and 00:10:00."
        : BatchSize is < 1 or > 500 ? $"Notifications:BatchSize is {BatchSize}. Set it between 1 and 500."
        : Concurrency is < 1 or > 100 ? $"Notifications:Concurrency is {Concurrency}. Set it between 1 and 100."
        : MaxAttempts is < 1 or > 100 ? $"Notifications:MaxAttempts is {MaxAttempts}. Set it between 1 and 100."
        : BackOffBase < TimeSpan.FromMilliseconds(1)
            ? $"Notifications:BackOffBase is {BackOffBase}. Set it to 00:00:00.001 or more."
        : Outside(BackOffMaximum, BackOffBase, TimeSpan.FromDays(1))
            ? $"Notifications:BackOffMaximum is {BackOffMaximum}. Set it between Notifications:BackOffBase and 1.00:00:00."
        : Outside(KeepDelivered, TimeSpan.FromMinutes(1), TimeSpan.FromDays(365))
            ? $"Notifications:KeepDelivered is {KeepDelivered}. Set it between 00:01:00 and 365.00:00:00."
        : null;

    private static bool Outside(TimeSpan value, TimeSpan least, TimeSpan most) => value < least || value > most;

    private static bool IsWebhook(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
        && uri is { UserInfo: "", Fragment: "" };
}
