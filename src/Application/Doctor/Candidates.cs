using System.Buffers;
using System.Text;

namespace CancelService.Application.Doctor;

/// <summary>
/// The texts that a merchant may have signed in place of the right one: each part in each of the ways in which it goes wrong, alone
/// and together with others, the likeliest first. How many there are is bounded, and so are the bytes that are hashed.
/// </summary>
internal sealed class Candidates
{
    /// <summary>The most texts that are tried.</summary>
    public const int MaxTried = 45_000;

    private const int MaxHashed = 24 * 1024 * 1024;

    // How many of a part's ways, the likeliest, are tried together with those of another part, and of two others.
    private const int InPairs = 48;
    private const int BodiesInPairs = 120;
    private const int InThrees = 6;

    private readonly Way<byte[]>[] _methods;
    private readonly Way<byte[]>[] _paths;
    private readonly Way<byte[]>[] _clients;
    private readonly Way<byte[]>[] _times;
    private readonly Way<byte[]>[] _moments;
    private readonly Way<byte[]>[] _bodies;
    private readonly ArrayBufferWriter<byte> _text = new(1024);
    private long _hashed;

    private Candidates(SignedParts parts, IReadOnlyList<string> prefixes, string route)
    {
        _methods = Ways.Methods(parts.Method);
        _paths = Ways.Paths(parts, prefixes, route);
        _clients = Ways.Clients(parts.ClientId);
        _times = Ways.Times(parts.Time);
        _moments = [.. Ways.Moments(parts.Time)];
        _bodies = Ways.Bodies(parts.Body);
    }

    public static Candidates Of(SignedParts parts, Practice practice) =>
        new(parts, [.. practice.Paths.Select(PrefixOf), practice.StrippedPrefix], practice.Paths[0]);

    private static string PrefixOf(string path) =>
        path.IndexOf("/v2/", StringComparison.Ordinal) is > 0 and var end ? path[..end] : "";

    /// <summary>How many texts were tried so far.</summary>
    public int Tried { get; private set; }

    /// <summary>The text as the scheme has it.</summary>
    public byte[] Right() => Compose(new int[8]).ToArray();

    /// <summary>Finds the text that was signed, with the mistakes that explain it; null when it is none that was tried.</summary>
    public (IReadOnlyList<Mistake> Mistakes, byte[] Text)? Find(SignedHash signed)
    {
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
        for (var mistakes = 0; mistakes <= 3; mistakes++)
        {
            if (Search(signed, ways, chosen, 0, mistakes, mistakes) is { } found)
                return found;
            // Another moment is one of very many, so it is tried alone.
            if (mistakes == 1 && SearchMoments(signed) is { } moment)
                return moment;
        }
        return null;
    }

    private (IReadOnlyList<Mistake> Mistakes, byte[] Text)? Search(
        SignedHash signed,
        int[] ways,
        int[] chosen,
        int from,
        int left,
        int mistakes
    )
    {
        if (left == 0)
            return Try(signed, chosen);
        for (var part = from; part <= ways.Length - left; part++)
        {
            var most = mistakes switch
            {
                1 => int.MaxValue,
                2 => part == ways.Length - 1 ? BodiesInPairs : InPairs,
                _ => InThrees,
            };
            for (var way = 1; way < Math.Min(ways[part], most); way++)
            {
                chosen[part] = way;
                if (Search(signed, ways, chosen, part + 1, left - 1, mistakes) is { } found)
                    return found;
                if (Tried >= MaxTried || _hashed >= MaxHashed)
                    break;
            }
            chosen[part] = 0;
        }
        return null;
    }

    private (IReadOnlyList<Mistake> Mistakes, byte[] Text)? Try(SignedHash signed, int[] chosen)
    {
        if (Tried >= MaxTried || _hashed >= MaxHashed)
            return null;
        var text = Compose(chosen);
        Tried++;
        _hashed += text.Length;
        if (!signed.IsOf(text))
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

    private (IReadOnlyList<Mistake> Mistakes, byte[] Text)? SearchMoments(SignedHash signed)
    {
        var asSent = _times[0];
        foreach (var moment in _moments)
        {
            _times[0] = moment;
            var found = Try(signed, new int[8]);
            _times[0] = asSent;
            if (found is { Text: var text })
                return ([moment.Mistake], text);
        }
        return null;
    }

    private ReadOnlySpan<byte> Compose(int[] chosen)
    {
        _text.ResetWrittenCount();
        foreach (var piece in Ways.Layouts[chosen[0]].Value)
            switch (piece)
            {
                case 'M':
                    _text.Write(_methods[chosen[2]].Value);
                    break;
                case 'P':
                    _text.Write(_paths[chosen[5]].Value);
                    break;
                case 'L':
                    _text.Write(Encoding.ASCII.GetBytes(Ways.LineBreaks[chosen[1]].Value));
                    break;
                case 'C':
                    _text.Write(_clients[chosen[3]].Value);
                    break;
                case 'T':
                    _text.Write(_times[chosen[6]].Value);
                    break;
                case 'B':
                    _text.Write(_bodies[chosen[7]].Value);
                    break;
                default:
                    _text.Write([(byte)piece]);
                    break;
            }
        return chosen[4] == 0 ? _text.WrittenSpan : Ways.Wholes[chosen[4]].Value(_text.WrittenSpan.ToArray());
    }
}
