from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("races", "0005_help_texts")]

    operations = [
        # Renaming the field alone would leave the old name in the condition of its index.
        migrations.RemoveIndex("Race", "race_bare_final"),
        migrations.RenameField("Race", "bare_final_at", "unproven_final_at"),
        migrations.AddIndex(
            "Race",
            models.Index(
                fields=["unproven_final_at"],
                condition=models.Q(unproven_final_at__isnull=False),
                name="race_unproven_final",
            ),
        ),
    ]
