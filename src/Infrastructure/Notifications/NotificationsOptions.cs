namespace CancelService.Infrastructure.Notifications;

/// <summary>The section <c>Notifications</c> of the settings: the delivery of cancellations to the core.</summary>
public sealed class NotificationsOptions
{
    /// <summary>The absolute http or https URL of the core's webhook. Null or empty turns the relay off.</summary>
    public string? Url { get; set; }

    /// <summary>
    /// The secrets that sign events, each <c>whsec_</c> and the base64 of 24 to 64 random bytes: one, or two during a
    /// rotation. Required with <see cref="Url"/>.
    /// </summary>
    public IList<string> Secrets { get; } = [];

    /// <summary>The wait of an idle relay between two polls for due events: 10 ms to 1 minute.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The time for which an event is claimed: at least twice <see cref="AttemptTimeout"/>, at most 10 minutes. After a
    /// crash the claimed events of the process wait this long. The instances' clocks should differ by much less.
    /// </summary>
    public TimeSpan ClaimTime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The most events that an instance claims at a time: 1 to 500.</summary>
    public int BatchSize { get; set; } = 50;

    /// <summary>The most requests that an instance has under way at a time: 1 to 100.</summary>
    public int Concurrency { get; set; } = 10;

    /// <summary>The number of attempts before an event is parked: 1 to 100.</summary>
    public int MaxAttempts { get; set; } = 20;

    /// <summary>
    /// The longest backoff after the first failed attempt: 1 ms or more. Each further attempt doubles it.
    /// </summary>
    public TimeSpan BackOffBase { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The limit of the doubling backoff: <see cref="BackOffBase"/> to 1 day.</summary>
    public TimeSpan BackOffMaximum { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The time for the receiver's answer to an attempt: 100 ms to 1 minute.</summary>
    public TimeSpan AttemptTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The retention time of delivered events, for operators: 1 minute to 365 days.</summary>
    public TimeSpan KeepDelivered { get; set; } = TimeSpan.FromDays(7);

    /// <summary>The webhook; null when the relay is off.</summary>
    internal Uri? Webhook => string.IsNullOrWhiteSpace(Url) ? null : new Uri(Url);

    /// <summary>Says which setting is wrong and how to correct it; null when all are right.</summary>
    public string? Problem() =>
        !string.IsNullOrWhiteSpace(Url) && !IsWebhook(Url)
            ? "Notifications:Url is no absolute http or https URL without user and fragment. Correct it, or leave it "
                + "out to switch the relay off."
        : Webhook is not null && Secrets.Count == 0
            ? "Notifications:Secrets is missing. With Notifications:Url it has to hold the secret that the receiver "
                + "verifies events with: whsec_ and the base64 of 24 to 64 random bytes. "
                + "echo \"whsec_$(openssl rand -base64 32)\" makes one."
        : Secrets.Count > EventSignature.MaxSecrets
            ? $"Notifications:Secrets holds {Secrets.Count} secrets. Leave one, or two during a rotation."
        : Secrets.Any(secret => !EventSignature.IsSecret(secret))
            ? "Notifications:Secrets holds a text that is no secret. A secret is whsec_ and the base64 of 24 to 64 "
                + "bytes."
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
            ? $"Notifications:BackOffMaximum is {BackOffMaximum}. Set it between Notifications:BackOffBase and "
                + "1.00:00:00."
        : Outside(KeepDelivered, TimeSpan.FromMinutes(1), TimeSpan.FromDays(365))
            ? $"Notifications:KeepDelivered is {KeepDelivered}. Set it between 00:01:00 and 365.00:00:00."
        : null;

    private static bool Outside(TimeSpan value, TimeSpan least, TimeSpan most) => value < least || value > most;

    private static bool IsWebhook(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri)
        && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
        && uri is { UserInfo: "", Fragment: "" };
}
