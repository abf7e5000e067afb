using CancelService.Domain.Payments;

namespace CancelService.Infrastructure.Signing;

/// <summary>The section <c>Wallet</c> of the settings.</summary>
public sealed class WalletOptions
{
    /// <summary>A PEM file with the wallet's RSA private key. In Development the demo wallet makes one up.</summary>
    public string? SigningKeyPath { get; set; }

    /// <summary>The version under which receivers know the public key, from 1.</summary>
    public int KeyVersion { get; set; } = 1;

    /// <summary>The zone in which times are written: an IANA name, or an offset such as <c>+08:00</c>.</summary>
    public string TimeZone { get; set; } = "+08:00";

    /// <summary>The zone of <see cref="TimeZone"/>.</summary>
    public TimeZoneInfo Zone =>
        TimeZones.Find(TimeZone) ?? throw new InvalidOperationException("Wallet:TimeZone was not validated.");

    /// <summary>What is wrong with the settings, naming the key and the remedy; null when nothing is.</summary>
    public string? Problem() =>
        this switch
        {
            { KeyVersion: < 1 } => $"Wallet:KeyVersion is {KeyVersion}. Set it to 1 or more.",
            { TimeZone: null } => "Wallet:TimeZone is empty. Set it to an IANA name or to an offset such as +08:00.",
            _ when TimeZones.Find(TimeZone) is null =>
                $"Wallet:TimeZone is '{TimeZone}'. Set it to an IANA name or to an offset such as +08:00.",
            _ => null,
        };
}
