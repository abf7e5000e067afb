using System.Security.Claims;

namespace CancelService.Application.Pipeline;

/// <summary>The scopes of operators and of the core. Each is also the name of an authorization policy.</summary>
public static class Scopes
{
    /// <summary>Register payments, report changes, requeue events.</summary>
    public const string PaymentsWrite = "payments:write";

    /// <summary>Read payments, feeds and notifications.</summary>
    public const string PaymentsRead = "payments:read";

    /// <summary>Change clients, contracts and keys.</summary>
    public const string ClientsWrite = "clients:write";

    /// <summary>Read clients, contracts, keys and accounts.</summary>
    public const string ClientsRead = "clients:read";

    /// <summary>Post deposits and payouts.</summary>
    public const string AccountsWrite = "accounts:write";

    /// <summary>Every scope.</summary>
    public static readonly IReadOnlyList<string> All =
    [
        PaymentsWrite,
        PaymentsRead,
        ClientsWrite,
        ClientsRead,
        AccountsWrite,
    ];
}

/// <summary>Reads the claims of an authenticated caller.</summary>
public static class Callers
{
    /// <summary>Returns the token's subject; <c>unnamed</c> if it is missing or longer than 256 characters.</summary>
    public static string Actor(this ClaimsPrincipal caller) =>
        caller.FindFirst("sub")?.Value is { Length: > 0 and <= 256 } subject ? subject : "unnamed";

    /// <summary>
    /// Tells whether the token has a scope. RFC 8693 puts all scopes into one claim, separated by spaces; some issuers
    /// name the claim scp, or repeat it.
    /// </summary>
    public static bool HasScope(this ClaimsPrincipal caller, string scope)
    {
        ArgumentNullException.ThrowIfNull(caller);
        return caller
            .Claims.Where(claim => claim.Type is "scope" or "scp")
            .Any(claim => claim.Value.Split(' ').Contains(scope, StringComparer.Ordinal));
    }
}
