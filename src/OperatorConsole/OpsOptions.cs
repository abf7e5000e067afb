namespace CancelService.OperatorConsole;

/// <summary>The section <c>Ops</c> of the settings: how operators sign in to the operations page.</summary>
public sealed class OpsOptions
{
    /// <summary>
    /// The client under which the tokens' issuer (<c>Authentication:Schemes:Bearer:Authority</c>) knows the operations page; without
    /// it, operators sign in by a link of the command <c>ops-link</c>.
    /// </summary>
    public string? OpenIdClientId { get; set; }

    /// <summary>A file with the client's secret; none for a public client.</summary>
    public string? OpenIdClientSecretPath { get; set; }

    /// <summary>How long an operator stays signed in: 1 minute to 24 hours.</summary>
    public TimeSpan SessionTime { get; set; } = TimeSpan.FromHours(8);

    /// <summary>Says which setting is wrong and how to correct it; null when all are right.</summary>
    public string? Problem() =>
        SessionTime < TimeSpan.FromMinutes(1) || SessionTime > TimeSpan.FromDays(1)
            ? $"Ops:SessionTime is {SessionTime}. Set it between 00:01:00 and 1.00:00:00."
        : OpenIdClientSecretPath is { } path && !File.Exists(path)
            ? $"Ops:OpenIdClientSecretPath is '{path}', where there is no file. Name the file with the client's secret."
        : null;
}
