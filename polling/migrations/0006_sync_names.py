from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('polling', '0005_throttle'),
    ]

    operations = [
        migrations.RemoveConstraint(model_name='syncstray', name='one_stray_per_row'),
        migrations.RenameModel('SyncStray', 'UnmatchedRow'),
        migrations.AddConstraint(
            model_name='unmatchedrow',
            constraint=models.UniqueConstraint(fields=('target', 'table', 'row_id'), name='one_unmatched_row_per_id'),
        ),
        migrations.RemoveConstraint(model_name='synchint', name='one_hint_per_row'),
        migrations.RenameModel('SyncHint', 'ChangeNotification'),
        migrations.AddConstraint(
            model_name='changenotification',
            constraint=models.UniqueConstraint(fields=('target', 'row_id'), name='one_notification_per_row'),
        ),
        migrations.RenameField('SyncServer', 'hinted_at', 'notified_at'),
        migrations.RenameField('SyncServer', 'hints', 'notifications'),
        migrations.RenameField('SyncCheckpoint', 'brake', 'deletion_guard'),
        migrations.RenameField('SyncCheckpoint', 'epoch', 'table_generation'),
        migrations.RenameField('SyncLease', 'table', 'work'),
        migrations.CreateModel(
            name='FullScan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('target', models.CharField(max_length=200, unique=True)),
                ('after_pk', models.BigIntegerField(default=0)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='PollLogPush',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('target', models.CharField(max_length=200, unique=True)),
                ('looked_to', models.DateTimeField(blank=True, help_text='logs finished before have been looked at', null=True)),
                ('cleared_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='QueuedTask',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('task', models.CharField(help_text='the path of its function', max_length=80, unique=True)),
                ('waits_until', models.DateTimeField(blank=True, help_text='when it is taken for lost; empty: none waits', null=True)),
            ],
        ),
        migrations.AddField(
            model_name='synccheckpoint',
            name='sweep_error',
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name='synccheckpoint',
            name='sweep_failing_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='synccheckpoint',
            name='texts_after_id',
            field=models.CharField(blank=True, help_text='up to which row long texts were compared', max_length=36),
        ),
        migrations.AlterField(
            model_name='synccheckpoint',
            name='deletion_guard',
            field=models.CharField(blank=True, help_text='why deletions wait for staff', max_length=300),
        ),
        migrations.AlterField(
            model_name='synccheckpoint',
            name='table_generation',
            field=models.PositiveIntegerField(default=0, help_text='rises when the table was recreated in Appwrite'),
        ),
        migrations.AlterField(
            model_name='syncconflict',
            name='resolved_at',
            field=models.DateTimeField(blank=True, help_text='when staff looked at it', null=True),
        ),
        migrations.AlterField(
            model_name='syncserver',
            name='notified_at',
            field=models.DateTimeField(blank=True, help_text='when its webhook last reported a change', null=True),
        ),
    ]
