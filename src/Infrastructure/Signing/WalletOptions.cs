using CancelService.Domain.Payments;

namespace CancelService.Infrastructure.Signing;

/// <summary>The section <c>Wallet</c> of the settings.</summary>
public sealed class WalletOptions
{
    /// <summary>
    /// The path of a PEM file with the wallet's RSA private key. The demo wallet of Development generates it.
    /// </summary>
    public string? SigningKeyPath { get; set; }

    /// <summary>The version of the key, from 1, which receivers use to look up the public key.</summary>
    public int KeyVersion { get; set; } = 1;

    /// <summary>The time zone of written times: an IANA name, or an offset such as <c>+08:00</c>.</summary>
    public string TimeZone { get; set; } = "+08:00";

    /// <summary>The time zone that <see cref="TimeZone"/> names.</summary>
    public TimeZoneInfo Zone =>
        TimeZones.Find(TimeZone) ?? throw new InvalidOperationException("Wallet:TimeZone was not validated.");

    /// <summary>Says which setting is wrong and how to correct it; null when all are right.</summary>
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
