using System.Buffers.Binary;

namespace CancelService.Harness;

/// <summary>
/// Counts the round trips and statements of one connection from its bytes (PostgreSQL's documentation, chapter
/// "Frontend/Backend Protocol"). Sync and a simple Query end a round trip; Execute and a simple Query are statements.
/// </summary>
internal sealed class FrontendMessages(Action roundTrip, Action statement)
{
    private readonly byte[] _header = new byte[5];
    private int _headerLength;
    private int _bodyLeft;
    private bool _started;

    public void Read(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_bodyLeft > 0)
            {
                var skipped = Math.Min(_bodyLeft, bytes.Length);
                bytes = bytes[skipped..];
                _bodyLeft -= skipped;
                continue;
            }
            _header[_headerLength++] = bytes[0];
            bytes = bytes[1..];
            // The first message of a connection has no type byte.
            var typeLength = _started ? 1 : 0;
            if (_headerLength < typeLength + 4)
                continue;
            _bodyLeft = BinaryPrimitives.ReadInt32BigEndian(_header.AsSpan(typeLength, 4)) - 4;
            var type = _started ? (char)_header[0] : '\0';
            if (type is 'S' or 'Q')
                roundTrip();
            if (type is 'E' or 'Q')
                statement();
            (_headerLength, _started) = (0, true);
        }
    }
}
