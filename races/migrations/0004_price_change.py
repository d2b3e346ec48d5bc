from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("races", "0003_real_world")]

    operations = [
        migrations.RenameModel("OddsChange", "PriceChange"),
        migrations.AlterField(
            "PriceChange", "runner", models.ForeignKey("races.Runner", models.CASCADE, related_name="price_changes")
        ),
        migrations.RenameIndex("PriceChange", new_name="price_change_observed", old_name="odds_change_observed"),
        migrations.RenameIndex(
            "PriceChange",
            new_name="races_price_runner__a1846e_idx",
            old_name="races_oddsc_runner__7cbd17_idx",
        ),
    ]
