using System.Security.Cryptography;
using CancelService.Protocol;

namespace CancelService.Doctor;

/// <summary>
/// The texts that a merchant may have signed by mistake: each part in each of its wrong ways, alone and combined,
/// likeliest first. The number of texts and of hashed bytes is bounded.
/// </summary>
internal sealed class Candidates
{
    /// <summary>The most texts to try.</summary>
    public const int MaxTried = 32_000;

    private const int MaxHashed = 24 * 1024 * 1024;

    // The number of a part's likeliest ways that are combined with those of one other part, and of two.
    private const int InPairs = 48;
    private const int BodiesInPairs = 120;
    private const int InThrees = 4;

    // Indexes of two parts in the array of chosen ways.
    private const int Whole = 4;
    private const int Bodies = 7;

    private readonly SignedParts _parts;
    private readonly IReadOnlyList<string> _prefixes;
    private readonly string _route;
    private Way<byte[]>[] _methods;
    private Way<byte[]>[] _paths;
    private Way<byte[]>[] _clients;
    private Way<byte[]>[] _times;
    private Way<byte[]>[] _bodies;
    private byte[] _text = new byte[1024];
    private int _length;
    private long _hashed;

    // Holds only the right ways; AddWrongWays makes the others on demand, because most requests are signed rightly.
    private Candidates(SignedParts parts, IReadOnlyList<string> prefixes, string route)
    {
        (_parts, _prefixes, _route) = (parts, prefixes, route);
        _methods = [Ways.Sent(parts.Method)];
        _paths = [Ways.Sent(SignatureScheme.PathOf(parts.Target))];
        _clients = [Ways.Sent(parts.ClientId)];
        _times = [Ways.Sent(parts.Time)];
        _bodies = [new("", "", parts.Body)];
    }

    private void AddWrongWays()
    {
        _methods = Ways.Methods(_parts.Method);
        _paths = Ways.Paths(_parts, _prefixes, _route);
        _clients = Ways.Clients(_parts.ClientId);
        _times = Ways.Times(_parts.Time);
        _bodies = Ways.Bodies(_parts.Body);
    }

    public static Candidates Of(SignedParts parts, Practice practice) =>
        new(parts, [.. practice.Paths.Select(PrefixOf), practice.StrippedPrefix], practice.Paths[0]);

    private static string PrefixOf(string path) =>
        path.IndexOf("/v2/", StringComparison.Ordinal) is > 0 and var end ? path[..end] : "";

    /// <summary>The number of texts tried so far.</summary>
    public int Tried { get; private set; }

    /// <summary>Composes the right text.</summary>
    public byte[] Right() => Compose(new int[8]).ToArray();

    /// <summary>Finds the signed text and the mistakes that explain it; null when no tried text fits.</summary>
    public (IReadOnlyList<Mistake> Mistakes, byte[] Text)? Find(SignedHash signed)
    {
        using var hash = IncrementalHash.CreateHash(signed.Algorithm); // Shared: saves a fifth of the time.
        if (Try(signed, hash, new int[8]) is { } right)
            return right;
        AddWrongWays();
        int[] ways =
        [
            Ways.Layouts.Length,
            Ways.LineBreaks.Length,
            _methods.Length,
            _clients.Length,
            Ways.Wholes.Length,
            _paths.Length,
            _times.Length,
            _bodies.Length,
        ];
        var chosen = new int[ways.Length];
        for (var mistakes = 1; mistakes <= 3; mistakes++)
        {
            if (Search(signed, hash, ways, chosen, 0, mistakes, mistakes) is { } found)
                return found;
            // There are too many moments to combine them with other mistakes.
            if (mistakes == 1 && SearchMoments(signed, hash) is { } moment)
                return moment;
        }
        return null;
    }

    private (IReadOnlyList<Mistake> Mistakes, byte[] Text)? Search(
        SignedHash signed,
        IncrementalHash hash,
        int[] ways,
        int[] chosen,
        int from,
        int left,
        int mistakes
    )
    {
        if (left == 0)
            return Try(signed, hash, chosen);
        for (var part = from; part <= ways.Length - left; part++)
        {
            var most = mistakes switch
            {
                1 => int.MaxValue,
                2 => part == Bodies && chosen[Whole] == 0 ? BodiesInPairs : InPairs,
                _ => InThrees,
            };
            for (var way = 1; way < Math.Min(ways[part], most); way++)
            {
                chosen[part] = way;
                if (Search(signed, hash, ways, chosen, part + 1, left - 1, mistakes) is { } found)
                    return found;
                if (Tried >= MaxTried || _hashed >= MaxHashed)
                    break;
            }
            chosen[part] = 0;
        }
        return null;
    }

    private (IReadOnlyList<Mistake> Mistakes, byte[] Text)? Try(SignedHash signed, IncrementalHash hash, int[] chosen)
    {
        if (Tried >= MaxTried || _hashed >= MaxHashed)
            return null;
        var text = Compose(chosen);
        Tried++;
        _hashed += text.Length;
        if (!signed.IsOf(text, hash))
            return null;
        IEnumerable<Mistake> mistakes =
        [
            Ways.Layouts[chosen[0]].Mistake,
            Ways.LineBreaks[chosen[1]].Mistake,
            _methods[chosen[2]].Mistake,
            _clients[chosen[3]].Mistake,
            Ways.Wholes[chosen[4]].Mistake,
            _paths[chosen[5]].Mistake,
            _times[chosen[6]].Mistake,
            _bodies[chosen[7]].Mistake,
        ];
        return ([.. mistakes.Where(mistake => mistake.Id.Length > 0)], text.ToArray());
    }

    private (IReadOnlyList<Mistake> Mistakes, byte[] Text)? SearchMoments(SignedHash signed, IncrementalHash hash)
    {
        var asSent = _times[0];
        foreach (var moment in Ways.Moments(_parts.Time))
        {
            _times[0] = moment;
            var found = Try(signed, hash, new int[8]);
            _times[0] = asSent;
            if (found is { Text: var text })
                return ([moment.Mistake], text);
        }
        return null;
    }

    private ReadOnlySpan<byte> Compose(int[] chosen)
    {
        _length = 0;
        foreach (var piece in Ways.Layouts[chosen[0]].Value)
            switch (piece)
            {
                case 'M':
                    Add(_methods[chosen[2]].Value);
                    break;
                case 'P':
                    Add(_paths[chosen[5]].Value);
                    break;
                case 'L':
                    Add(Ways.LineBreaks[chosen[1]].Value);
                    break;
                case 'C':
                    Add(_clients[chosen[3]].Value);
                    break;
                case 'T':
                    Add(_times[chosen[6]].Value);
                    break;
                case 'B':
                    Add(_bodies[chosen[7]].Value);
                    break;
                default:
                    Add([(byte)piece]);
                    break;
            }
        var text = _text.AsSpan(0, _length);
        return chosen[4] == 0 ? text : Ways.Wholes[chosen[4]].Value(text.ToArray());
    }

    private void Add(ReadOnlySpan<byte> bytes)
    {
        if (_text.Length - _length < bytes.Length)
            Array.Resize(ref _text, Math.Max(2 * _text.Length, _length + bytes.Length));
        bytes.CopyTo(_text.AsSpan(_length));
        _length += bytes.Length;
    }
}
