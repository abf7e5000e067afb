using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Metadata;

namespace CancelService.Api.Internal;

/// <summary>
/// Binds bodies and parameters of the internal API strictly. A refusal names the member or parameter and its rule.
/// </summary>
internal static partial class Binding
{
    /// <summary>Configures the binding of bodies.</summary>
    public static void Configure(JsonSerializerOptions json)
    {
        json.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseUpper, allowIntegerValues: false));
        json.Converters.Add(new OffsetTimeConverter());
        json.NumberHandling = JsonNumberHandling.Strict;
        // Otherwise the last of two duplicate members would win, and a misspelt member would silently get its default.
        json.AllowDuplicateProperties = false;
        json.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
    }

    /// <summary>Names the mistake in a request that was not bound, without quoting it.</summary>
    public static string Problem(BadHttpRequestException bad, Endpoint? endpoint)
    {
        if (bad.InnerException is JsonException json)
            return Problem(json, endpoint);
        if (BadParameter().Match(bad.Message) is { Success: true } parameter)
        {
            var name = parameter.Groups["name"].Value;
            return Parameters(endpoint).FirstOrDefault(p => p.Name == name) is { } bound
                ? Problem(bound)
                : $"{name} is not valid.";
        }
        return
            bad.StatusCode is StatusCodes.Status400BadRequest && bad.Message.Contains("body", StringComparison.Ordinal)
            ? "The request needs a body: a JSON object."
            : Problem(bad.StatusCode);
    }

    /// <summary>
    /// Names the mistake in a request that was refused without an exception: by the server, or for an optional
    /// parameter of the query.
    /// </summary>
    public static string Problem(HttpContext http, int status) =>
        status is StatusCodes.Status400BadRequest
        && Parameters(http.GetEndpoint()).FirstOrDefault(p => !CanRead(p, http.Request.Query)) is { } parameter
            ? Problem(parameter)
            : Problem(status);

    private static string Problem(int status) =>
        status switch
        {
            StatusCodes.Status408RequestTimeout => "The body came too slowly.",
            StatusCodes.Status413PayloadTooLarge => "The body is larger than 1 MiB.",
            StatusCodes.Status415UnsupportedMediaType => "The body must be JSON: Content-Type: application/json.",
            _ => "The request is not valid HTTP.",
        };

    private static IEnumerable<IParameterBindingMetadata> Parameters(Endpoint? endpoint) =>
        endpoint?.Metadata.OfType<IParameterBindingMetadata>() ?? [];

    private static string Problem(IParameterBindingMetadata parameter)
    {
        var type = parameter.ParameterInfo.ParameterType;
        var more = IsTime(type) ? " In a query, + is written %2B." : "";
        return $"{parameter.Name} {Rule(type)}.{more}";
    }

    private static bool CanRead(IParameterBindingMetadata parameter, IQueryCollection query) =>
        !query.TryGetValue(parameter.Name, out var texts)
        || (string?)texts is not { Length: > 0 } text
        || Nullable.GetUnderlyingType(parameter.ParameterInfo.ParameterType) is not { } type
        || (
            type == typeof(int) ? int.TryParse(text, CultureInfo.InvariantCulture, out _)
            : type == typeof(Guid) ? Guid.TryParse(text, out _)
            : type != typeof(OffsetTime) || OffsetTime.TryParse(text, out _)
        );

    private static string Problem(JsonException json, Endpoint? endpoint)
    {
        if ((json.InnerException ?? json).GetType().Name == "JsonReaderException")
            return string.Create(
                CultureInfo.InvariantCulture,
                $"The body is not JSON: see line {json.LineNumber + 1}, byte {json.BytePositionInLine + 1}."
            );
        var path = json.Path is ['$', '.', .. var member] ? member : "";
        var subject = path.Length == 0 ? "The body" : path;
        if (json.Message.StartsWith("Duplicate property", StringComparison.Ordinal))
            return $"{Quoted(json.Message, subject)} is given more than once.";
        if (json.Message.Contains("could not be mapped", StringComparison.Ordinal))
            return $"{subject} is not a member that this request knows. Check its spelling.";
        var type = endpoint?.Metadata.OfType<IAcceptsMetadata>().FirstOrDefault()?.RequestType;
        return $"{subject} {Rule(MemberType(type, path))}.";
    }

    // Extracts the member's name that the serializer quotes.
    private static string Quoted(string message, string otherwise) =>
        QuotedName().Match(message) is { Success: true } name ? name.Groups["name"].Value : otherwise;

    private static Type? MemberType(Type? type, string path)
    {
        foreach (var name in path.Split('.', StringSplitOptions.RemoveEmptyEntries))
            type = type
                ?.GetProperty(name, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase)
                ?.PropertyType;
        return type;
    }

    private static bool IsTime(Type type) =>
        (Nullable.GetUnderlyingType(type) ?? type) is var t && (t == typeof(OffsetTime) || t == typeof(DateTimeOffset));

    private static string Rule(Type? type)
    {
        type = type is null ? null : Nullable.GetUnderlyingType(type) ?? type;
        return type switch
        {
            null => "has a value of a wrong type",
            _ when IsTime(type) => OffsetTime.Rule,
            { IsEnum: true } => "must be "
                + string.Join(" or ", Enum.GetNames(type).Select(JsonNamingPolicy.SnakeCaseUpper.ConvertName)),
            _ when type == typeof(long) || type == typeof(int) =>
                "must be a whole number in digits, without a fraction or an exponent, that fits its range",
            _ when type == typeof(bool) => "must be true or false",
            _ when type == typeof(string) => "must be a string",
            _ when type == typeof(Guid) => "must be a UUID",
            _ => "must be an object",
        };
    }

    [GeneratedRegex("\"[^\" ]+ (?<name>\\w+)\" from \"", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex BadParameter();

    [GeneratedRegex("'(?<name>\\w{1,64})'", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex QuotedName();

    private sealed class OffsetTimeConverter : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(
            ref Utf8JsonReader reader,
            Type typeToConvert,
            JsonSerializerOptions options
        ) =>
            reader.TokenType is JsonTokenType.String && OffsetTime.TryParse(reader.GetString(), out var time)
                ? time.Value
                : throw new JsonException();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value);
    }
}
