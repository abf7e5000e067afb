using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Metadata;

namespace CancelService.Api.Internal;

/// <summary>
/// A time with an offset (ISO 8601). A text without one would mean another instant in the zone of each instance, so it is
/// no time here, neither in a body nor in a query.
/// </summary>
public readonly partial record struct OffsetTime(DateTimeOffset Value)
{
    /// <summary>What a time must be, for messages.</summary>
    public const string Rule =
        "must be a time with an offset, such as 2026-03-01T10:15:30Z or 2026-03-01T18:15:30+08:00";

    /// <summary>Reads a time; what is finer than 100 ns is refused.</summary>
    public static bool TryParse(string? text, out OffsetTime time)
    {
        time = default;
        if (
            text is null
            || !Form().IsMatch(text)
            || !DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out var value)
        )
            return false;
        time = new OffsetTime(value);
        return true;
    }

    [GeneratedRegex(
        @"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,7})?)?(Z|[+-][0-9]{2}:[0-9]{2})\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Form();
}

/// <summary>
/// How bodies and parameters of the internal API are read: strictly, and a refusal names the member or parameter and says
/// what it must be.
/// </summary>
internal static partial class Binding
{
    /// <summary>What is wrong with a body of another content type.</summary>
    public const string NotJson = "The body must be JSON: Content-Type: application/json.";

    /// <summary>Sets up the reading of bodies.</summary>
    public static void Configure(JsonSerializerOptions json)
    {
        json.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseUpper, allowIntegerValues: false));
        json.Converters.Add(new OffsetTimeConverter());
        json.NumberHandling = JsonNumberHandling.Strict;
        // Of two members of one name the last would win, and a misspelt one would silently take its default.
        json.AllowDuplicateProperties = false;
        json.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
    }

    /// <summary>What is wrong with a request that could not be bound, without echoing it.</summary>
    public static string Problem(BadHttpRequestException bad, Endpoint? endpoint)
    {
        if (bad.InnerException is JsonException json)
            return Problem(json, endpoint);
        if (BadParameter().Match(bad.Message) is { Success: true } parameter)
        {
            var name = parameter.Groups["name"].Value;
            var bound = endpoint?.Metadata.OfType<IParameterBindingMetadata>().FirstOrDefault(p => p.Name == name);
            var rule = bound is null ? "is not valid" : Rule(bound.ParameterInfo.ParameterType);
            return bound is not null && IsTime(bound.ParameterInfo.ParameterType)
                ? $"{name} {rule}. In a query, + is written %2B."
                : $"{name} {rule}.";
        }
        return bad.StatusCode switch
        {
            StatusCodes.Status400BadRequest when bad.Message.Contains("body", StringComparison.Ordinal) =>
                "The request needs a body: a JSON object.",
            StatusCodes.Status413PayloadTooLarge => "The body is too large.",
            StatusCodes.Status415UnsupportedMediaType => NotJson,
            _ => "The request is not valid HTTP.",
        };
    }

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

    // The name that the serializer quotes; names of members hold letters and digits only.
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
            { IsEnum: true } =>
                $"must be {string.Join(" or ", Enum.GetNames(type).Select(JsonNamingPolicy.SnakeCaseUpper.ConvertName))}",
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
