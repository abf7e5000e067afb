using CancelService.Infrastructure.Persistence;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace CancelService.Infrastructure.Migrations.Postgres
{
    /// <summary>So that pruning finds a client's delivered events without looking at all the others'.</summary>
    public partial class OutboxDeliveredIndex : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // Waits for older transactions, be they ever so long, and keeps nobody waiting meanwhile.
            migrationBuilder.Sql("SET lock_timeout = 0", suppressTransaction: true);
            // What an attempt that was broken off has left behind, which is no use.
            migrationBuilder.Sql(
                "DROP INDEX CONCURRENTLY IF EXISTS ix_outbox_client_id_delivered_at",
                suppressTransaction: true
            );
            migrationBuilder
                .CreateIndex(
                    name: "ix_outbox_client_id_delivered_at",
                    table: "outbox",
                    columns: new[] { "client_id", "delivered_at" },
                    filter: "delivered_at IS NOT NULL"
                )
                .Annotation("Npgsql:CreatedConcurrently", true);
            migrationBuilder.Sql(Database.LimitedLocks, suppressTransaction: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql(
                "DROP INDEX CONCURRENTLY IF EXISTS ix_outbox_client_id_delivered_at",
                suppressTransaction: true
            );
        }
    }
}
